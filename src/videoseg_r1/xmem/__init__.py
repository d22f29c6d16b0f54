"""Stage 3b: memory for propagation. For now the bounded store that `lite/` reads; the XMem network joins it here."""

from videoseg_r1.xmem.store import MemoryStore

__all__ = ["MemoryStore"]
