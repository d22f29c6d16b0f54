"""Stage 3b at the scale of the paper: XMem on the official weights, and the bounded store of frames that `lite/` shares with it."""

from videoseg_r1.xmem.config import XMemConfig
from videoseg_r1.xmem.core import InferenceCore
from videoseg_r1.xmem.network import XMem
from videoseg_r1.xmem.store import MemoryStore

__all__ = ["InferenceCore", "MemoryStore", "XMem", "XMemConfig"]
