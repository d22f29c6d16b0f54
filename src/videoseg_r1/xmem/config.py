"""Settings of XMem at inference. Not here: those of its training, and how they are used (`memory`, `core`)."""

from __future__ import annotations

from dataclasses import dataclass

from videoseg_r1.errors import InvalidConfig


@dataclass(frozen=True, slots=True)
class XMemConfig:
    """Settings of XMem. The defaults are those of the paper.

    Attributes:
        mem_every: one frame in so many is remembered.
        deep_update_every: frames between two renewals of the sensory state by the value encoder; -1: with every remembered frame.
        enable_long_term: whether old frames are condensed into prototypes; otherwise they are dropped.
        top_k: stored positions that are mixed per read.
        min_mid_term_frames: remembered frames, the first included, that stay when the others are condensed.
        max_mid_term_frames: number of remembered frames, the first included, at which they are condensed.
        num_prototypes: positions kept of the frames that are condensed.
        max_long_term_elements: prototypes that are kept; the least used leave first.
        max_stored_frames: remembered frames without long-term memory, the given ones not counted; the oldest leave first.
        max_given_frames: frames that came with masks and are kept as they are.
    Raises: InvalidConfig: a value out of range, or two that do not go together.
    """

    mem_every: int = 5
    deep_update_every: int = -1
    enable_long_term: bool = True
    top_k: int = 30
    min_mid_term_frames: int = 5
    max_mid_term_frames: int = 10
    num_prototypes: int = 128
    max_long_term_elements: int = 10_000
    max_stored_frames: int = 64
    max_given_frames: int = 8

    def __post_init__(self) -> None:
        lowest = {"mem_every": 1, "top_k": 1, "min_mid_term_frames": 1, "num_prototypes": 1, "max_stored_frames": 1, "max_given_frames": 1}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise InvalidConfig("an XMem setting is out of range", where=name, why=f"it is {getattr(self, name)}, least is {least}")
        if self.deep_update_every == 0 or self.deep_update_every < -1:
            raise InvalidConfig(
                "an XMem setting is out of range",
                where="deep_update_every",
                why=f"it is {self.deep_update_every}",
                fix="use -1, or 1 and more",
            )
        if self.max_mid_term_frames <= self.min_mid_term_frames:
            raise InvalidConfig(
                "two XMem settings do not go together",
                where="max_mid_term_frames",
                why=f"it is {self.max_mid_term_frames}, min_mid_term_frames is {self.min_mid_term_frames}",
                fix="make it larger than min_mid_term_frames",
            )
        if self.max_long_term_elements < self.num_prototypes:
            raise InvalidConfig(
                "two XMem settings do not go together",
                where="max_long_term_elements",
                why=f"it is {self.max_long_term_elements}, one condensation makes {self.num_prototypes} prototypes",
                fix="make it at least num_prototypes",
            )
