"""XMem, the propagator of the paper (stage 3b), on the official weights, and the bounded store of frames that `lite` uses too."""

from videoseg_r1.xmem.config import XMemConfig
from videoseg_r1.xmem.core import InferenceCore
from videoseg_r1.xmem.network import XMem
from videoseg_r1.xmem.store import MemoryStore

__all__ = ["InferenceCore", "MemoryStore", "XMem", "XMemConfig"]
