"""Where predicted masks come from: a pipeline that reads the text, or anybody's PNG folders.

Not here: a pipeline that is given the first true masks (`given`), how masks are scored (`scoring`), how they are kept as files (`run`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from videoseg_r1.datasets.mask_files import png_size, read_png_mask, wrong_size
from videoseg_r1.datasets.problems import raise_problems
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.errors import InputError, InvalidDocument, SourceNotFound, VideosegError
from videoseg_r1.types import BoolMask, KeyframePick
from videoseg_r1.video import Video


@dataclass(frozen=True)
class Prediction:
    """The masks predicted for a sample: (frame index, (H, W) bool) in any order, each frame at most once; frames may be missing."""

    masks: Iterable[tuple[int, BoolMask]]
    target_frame: int | None = None


Predictor: TypeAlias = Callable[[Sample], Prediction]


class Segmented(Protocol):
    """The part of a `SegmentationResult` that is needed here."""

    @property
    def num_frames(self) -> int: ...
    @property
    def keyframes(self) -> KeyframePick | None: ...
    def mask(self, frame_index: int, /) -> BoolMask: ...


class TextSegmenter(Protocol):
    """The part of a `VideoSegmenter` that `by_text` needs."""

    def segment(self, video: Video, query: str, /, *, seed: int = 0) -> Segmented: ...


def by_text(segmenter: TextSegmenter, seed: int = 0) -> Predictor:
    """Return a predictor that segments what the expression says.

    A clip stays open for its next expression, so that a segmenter can reuse what it computed for the clip; the seconds of a sample
    are the time that the sample really took.
    """
    clips = _OpenClips()

    def predict(sample: Sample) -> Prediction:
        found = segmenter.segment(clips.video_of(sample), sample.query, seed=seed)
        return Prediction(_masks_of(found), found.keyframes.target_frame if found.keyframes else None)

    return predict


class _OpenClips:
    """The clips of the latest samples, kept open: the expressions of a clip, or of its few mosaics, come one after the other."""

    _MAX_OPEN = 4

    def __init__(self) -> None:
        self._open: OrderedDict[str, Video] = OrderedDict()

    def video_of(self, sample: Sample) -> Video:
        if sample.video_id not in self._open:
            self._open[sample.video_id] = sample.open()
        self._open.move_to_end(sample.video_id)
        while len(self._open) > self._MAX_OPEN:
            self._open.popitem(last=False)[1].close()
        return self._open[sample.video_id]


def from_preds(root: str | Path, samples: Sequence[Sample]) -> Predictor:
    """Return a predictor that reads anybody's PNG folders.

    Layouts: ROOT/VIDEO/EXPRESSION/FRAME.png, or ROOT/VIDEO/FRAME.png where one set of masks serves all expressions of a clip.
    Files are grey 0/255 or palettes; whatever is not zero belongs to the object. Files may be missing, but none may be there
    that the benchmark does not know.

    Args:
        root: the folder.
        samples: all samples of the benchmark, also those that are not going to be scored.
    Raises: SourceNotFound: no folder, or not a single prediction in it. InvalidDocument: unknown names, files that are no masks
        or of another size; all of them in one error. Damage inside a file shows when it is read: InvalidDocument then.
    """
    root = Path(root)
    check_predictions(root, samples)

    def predict(sample: Sample) -> Prediction:
        files = _prediction_files(root, sample)
        return Prediction((index, read_png_mask(path, sample.size)) for index, path in files)

    return predict


def check_predictions(root: Path, samples: Sequence[Sample], *, by_expression: bool = True) -> None:
    """Raise if a folder of predictions does not fit a benchmark, as `from_preds` says.

    With `by_expression` False, ROOT/VIDEO/FRAME.png is the only layout.
    """
    if not root.is_dir():
        raise SourceNotFound("no predictions", where=str(root), why="there is no such folder")
    problems = list(_prediction_problems(root, samples, by_expression))
    raise_problems("these predictions do not fit the benchmark", str(root), problems, "remove or repair these files")
    if not any(True for sample in samples for _ in _prediction_files(root, sample)):
        fix = "name files VIDEO/EXPRESSION/FRAME.png or VIDEO/FRAME.png" if by_expression else "name files VIDEO/FRAME.png"
        raise SourceNotFound("no predictions", where=str(root), why="the folder holds none for this benchmark", fix=fix)


def _masks_of(found: Segmented) -> Iterator[tuple[int, BoolMask]]:
    return ((index, found.mask(index)) for index in range(found.num_frames))


def _prediction_folder(root: Path, sample: Sample) -> Path:
    folder = root / sample.video_id / sample.expression_id
    return folder if folder.is_dir() else root / sample.video_id


def _prediction_files(root: Path, sample: Sample) -> Iterator[tuple[int, Path]]:
    folder = _prediction_folder(root, sample)
    paths = ((index, folder / f"{name}.png") for index, name in enumerate(sample.frame_names))
    return ((index, path) for index, path in paths if path.is_file())


def _prediction_problems(root: Path, samples: Sequence[Sample], by_expression: bool) -> Iterator[VideosegError]:
    by_video: dict[str, dict[str, Sample]] = {}
    for sample in samples:
        by_video.setdefault(sample.video_id, {})[sample.expression_id] = sample
    for entry in _visible(root):
        if entry.name not in by_video or not entry.is_dir():
            yield InvalidDocument("unknown video", where=str(entry))
            continue
        known = by_video[entry.name]
        folders = [child for child in _visible(entry) if child.is_dir()]
        if folders and not by_expression:
            why = "where masks are given, label maps of all objects are scored: VIDEO/FRAME.png"
            yield InvalidDocument("a folder of an expression", where=str(folders[0]), why=why)
        elif folders:
            yield from (InvalidDocument("unknown expression", where=str(folder)) for folder in folders if folder.name not in known)
            files = (child for child in _visible(entry) if child.is_file())
            yield from (InvalidDocument("a file beside the folders of expressions", where=str(file)) for file in files)
            for folder in folders:
                if folder.name in known:
                    yield from _file_problems(folder, known[folder.name])
        else:
            yield from _file_problems(entry, next(iter(known.values())))


def _file_problems(folder: Path, sample: Sample) -> Iterator[VideosegError]:
    names = {f"{name}.png" for name in sample.frame_names}
    for path in _visible(folder):
        if path.name not in names:
            yield InvalidDocument("unknown frame", where=str(path))
            continue
        try:
            size = png_size(path)
        except InputError as error:
            yield error
        else:
            if size != sample.size:
                yield wrong_size(path, size, sample.size)


def _visible(folder: Path) -> list[Path]:
    ignored = (".", "__MACOSX", "Thumbs.db")
    return sorted(path for path in folder.iterdir() if not path.name.startswith(ignored))
