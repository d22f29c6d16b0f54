"""XMem with a memory so small that every rule of it is met within a few frames."""

from __future__ import annotations

from videoseg_r1.xmem import XMemConfig

SMALL = XMemConfig(
    mem_every=2, min_mid_term_frames=2, max_mid_term_frames=3, num_prototypes=6, max_long_term_elements=12, top_k=8, max_given_frames=3
)
