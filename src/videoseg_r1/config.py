"""Settings that more than one module shares, as frozen values. No files are read here and nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass, fields

from videoseg_r1.errors import InvalidConfig

MAX_QUERY_CHARS = 512
"""Characters of a query, unless the limits say otherwise."""


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a preset does beyond the paper, recorded in the trace.

    Attributes:
        num_seed_frames: frames of the whole video in which masks are made of what was meant, the best of as many equal parts, for presets
            whose perception follows what it sees; 1 makes them in the target frame, as the paper does.
        self_check: whether the masks are shown back to the model once, and the worst stretch is asked for again.
        num_presence_votes: votes on whether the target is there at all; 0 asks for none.
    Raises: InvalidConfig: a number out of range.
    """

    num_seed_frames: int = 1
    self_check: bool = False
    num_presence_votes: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.num_presence_votes <= 64:
            raise InvalidConfig("an extension is out of range", why=f"{self.num_presence_votes} presence votes", fix="use 0 to 64")
        if not 1 <= self.num_seed_frames <= 16:
            raise InvalidConfig("an extension is out of range", why=f"{self.num_seed_frames} seed frames", fix="use 1 to 16")


@dataclass(frozen=True)
class Limits:
    """How large an input may be. Every check names the limit it ran into, so that it can be raised on purpose.

    Attributes:
        max_bytes: size of a source file.
        max_width, max_height: pixels of a stored picture, before it is rotated.
        max_duration_s: length of a video.
        max_frames: decoded frames of a video, files of a folder, items of an iterator.
        max_streams: picture, sound, subtitle and data streams of one file.
        max_query_chars: characters of a query.
    Raises: InvalidConfig: a limit is not a positive number.
    """

    max_bytes: int = 1 << 30
    max_width: int = 4096
    max_height: int = 4096
    max_duration_s: float = 7200.0
    max_frames: int = 250_000
    max_streams: int = 64
    max_query_chars: int = MAX_QUERY_CHARS

    def __post_init__(self) -> None:
        for field in fields(self):
            value: int | float = getattr(self, field.name)
            if not value > 0:
                raise InvalidConfig("a limit must be a positive number", where=field.name, why=f"it is {value}")
