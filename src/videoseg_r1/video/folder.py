"""Folders of frames, one picture file per frame, as data sets and annotation tools store them.

Orientation tags are ignored here, as the masks of data sets are drawn over stored pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from PIL import Image

from videoseg_r1.config import Limits
from videoseg_r1.errors import InputError, LimitExceeded, NoVideoStream, ShapeMismatch, UnsupportedSource
from videoseg_r1.types import Frame, VideoInfo
from videoseg_r1.video.background import PlainColor, color_name, flattened_note, is_transparent, to_rgb
from videoseg_r1.video.base import DEFAULT_FPS, OnCorrupt, check_limit
from videoseg_r1.video.decoded import Damage, DecodedVideo
from videoseg_r1.video.pictures import decoding, opened_picture
from videoseg_r1.video.sniff import is_container, sniff

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
"""Endings of frames. Where two files share a stem the earlier ending wins: next to photos, PNG files are mostly masks."""


class FolderVideo(DecodedVideo):
    """A folder of frames in natural order, so that 2.jpg comes before 10.jpg. Hidden files, links and other files are left out.

    With "keep-all" a frame that cannot be read keeps its number and name, and shows the last good frame before it, or the first one.
    Raises: NoVideoStream: no pictures. ShapeMismatch: differing sizes. CorruptVideo: a picture cannot be read; unless that is an error,
        every picture is decoded once on opening, to find the damaged ones.
    """

    def __init__(self, path: Path, *, limits: Limits, on_corrupt: OnCorrupt, fps: float | None, background: PlainColor) -> None:
        self._limits, self._rate, self._background = limits, fps or DEFAULT_FPS, background
        self._files, notes = _frame_files(path)
        if not self._files:
            raise NoVideoStream("the folder holds no pictures", where=str(path), fix="give the folder that holds the frames themselves")
        check_limit(len(self._files), limits.max_frames, "max_frames", "frames", str(path))
        super().__init__(VideoInfo(str(path), "folder", 1, 1, fps=fps, notes=notes, background=color_name(background)), on_corrupt)
        names = tuple(file.stem for file in self._files)
        width, height = self._check_files()
        self._times = tuple(index / self._rate for index in range(len(self._files)))
        count = len(self._files)
        self._info = replace(self._info, width=width, height=height, num_frames_hint=count, frame_names=names[:count])

    @property
    def times(self) -> tuple[float, ...]:
        self._check_open()
        return self._times

    @property
    def num_frames(self) -> int:
        return len(self._files)

    def _check_files(self) -> tuple[int, int]:
        """Read every header, and every picture if damage is accepted, and put damage right. Return the size that all share."""
        sizes: dict[Path, tuple[int, int]] = {}
        damage: dict[int, str] = {}
        for index, file in enumerate(self._files):
            try:
                sizes[file] = self._size(file)
            except LimitExceeded:
                raise
            except InputError as error:
                damage[index] = f"{file.name}: {error.why}"
        if damage:
            self._leave_out(damage, len(sizes))
        size = Counter(sizes.values()).most_common(1)[0][0]
        for file, other in sizes.items():
            if other != size:
                raise ShapeMismatch(
                    "the frames do not share one size",
                    where=str(file),
                    why=f"it is {other[0]}x{other[1]}, most are {size[0]}x{size[1]}",
                    fix="resize it, or move it out of the folder",
                )
        return size

    def _leave_out(self, damage: dict[int, str], num_good: int) -> None:
        """Replace the files of frames that cannot be read, or end before the first of them."""
        files, first = self._files, min(damage)
        found = Damage(damage[first], first, len(files) if num_good else 0, tuple(damage))
        used = self._settle(found, len(files))
        shown = next((file for index, file in enumerate(files) if index not in damage), files[0])
        self._files = []
        for index in range(used):
            shown = shown if index in damage else files[index]
            self._files.append(shown)

    def _size(self, file: Path) -> tuple[int, int]:
        with self._opened(file) as image, decoding(file):
            if self._on_corrupt != "error":
                image.load()
            return image.size

    @contextmanager
    def _opened(self, file: Path) -> Generator[Image.Image]:
        kind = sniff(file)
        if is_container(kind):
            raise UnsupportedSource("this is not a picture", where=str(file), why=f"the content is a video ({kind})")
        with opened_picture(file, kind, self._limits) as image:
            yield image

    def _frame(self, index: int) -> Frame:
        self._check_open()
        file = self._files[index]
        with self._opened(file) as image, decoding(file, index, len(self._files)):
            rgb = to_rgb(image, self._background)
            if is_transparent(image):
                self._add_note(flattened_note(self._background))
        if rgb.shape[:2] != (self._info.height, self._info.width):
            raise ShapeMismatch("a frame changed while it was read", where=str(file))
        return Frame(index, self._times[index], rgb)

    def _forward(self, start: int, stop: int | None) -> Iterator[Frame]:
        end = len(self._files)
        return map(self._frame, range(start, end if stop is None else min(stop, end)))

    def _decode_picked(self, indices: Sequence[int]) -> Iterator[Frame]:
        return map(self._frame, indices)


def _frame_files(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the frames of a folder in natural order, one per stem, and notes on what was left out."""
    chosen: dict[str, Path] = {}
    links = doubles = 0
    found = [entry for entry in folder.iterdir() if entry.suffix.lower() in _SUFFIXES and not entry.name.startswith(".")]
    for entry in sorted(found, key=lambda file: (_SUFFIXES.index(file.suffix.lower()), file.name)):
        if entry.is_symlink():
            links += 1
        elif entry.is_file():
            doubles += entry.stem.casefold() in chosen
            chosen.setdefault(entry.stem.casefold(), entry)
    notes: list[str] = []
    if links:
        notes.append(f"{links} symbolic links in the folder are not followed")
    if doubles:
        notes.append(f"{doubles} pictures are left out, as another file has the same name with a different ending")
    return sorted(chosen.values(), key=lambda file: (natural_key(file.stem), file.name)), tuple(notes)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a key for sorting names in natural order: numbers inside them compare by value, the rest as text."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts]
