"""Cuts that are found and cuts that are not there, on the clips at hand.

    python benchmarks/cuts.py [--data ../shared/data] [--half fit|test] [FILM ...]

Cuts: all ordered pairs of different clips are joined, twelve frames of each from a random place; of the kinds after the first three
every third pair. Found is a cut that is told at its very frame (a dissolve or fade: within its length) in both directions of time, with
no other beside it. No cuts: every frame of every clip as it is, at fewer frames a second, shaken, noisy, flashed, dimmed to black and
back. Thresholds were chosen on the clips of `fit`, every second by name. Intervals are Wilson's, 95 %. Of each FILM the cuts found are
printed. Frames are shrunk to 320 x 180 first.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from videoseg_r1.stages.propagation.cuts import with_cuts
from videoseg_r1.types import Frame, RgbImage
from videoseg_r1.video import open_video

Film = list[RgbImage]
Draw = np.random.Generator
DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIZE, PIECE = (320, 180), 12
SAME_SCENE = ({"davis16_dev/soapbox", "multi_dev/soapbox"}, {"davis16_dev/horsejump-high", "multi_dev/horsejump-high"})
SAME_SCENE += ({"davis16_dev/camel", "demo/camel_480p_3s"}, {"real_dev/cars", "faults/cars_late"})


def load_clips(data: Path) -> dict[str, Film]:
    """Return the uncut clips by name."""
    paths = [path for part in ("davis16_dev", "multi_dev") for path in sorted((data / part / "JPEGImages/480p").iterdir())]
    paths += [*sorted((data / "real_dev").glob("*.mp4")), *sorted((data / "demo").glob("*.mp4")), data / "faults/cars_late.mp4"]
    return {f"{path.relative_to(data).parts[0]}/{path.stem}": read(path) for path in paths}


def read(path: Path) -> Film:
    with open_video(path) as video:
        return [cv2.resize(frame.rgb, SIZE, interpolation=cv2.INTER_AREA) for frame in video.frames()]


def cuts_of(film: Film) -> tuple[list[int], list[int]]:
    """Return where cuts are found forwards and backwards."""
    frames = [Frame(index, index / 25, rgb) for index, rgb in enumerate(film)]
    ways = (with_cuts(frames, "forwards"), with_cuts(reversed(frames), "backwards"))
    found = [sorted(cut.frame_index for _, cut in way if cut is not None) for way in ways]
    return found[0], found[1]


def wilson(hits: int, count: int) -> str:
    """Return "hits of count, share [low, high]"."""
    z, p = 1.96, hits / max(count, 1)
    middle, reach = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    low, high = ((middle + sign * reach) / (1 + z * z / count) for sign in (-1, 1))
    return f"{hits} of {count}, {p:.4f} [{low:.4f}, {high:.4f}]"


def piece(film: Film, draw: Draw, stride: int = 1, length: int = PIECE) -> Film:
    first = int(draw.integers(max(len(film) - stride * (length - 1), 1)))
    return film[first : first + stride * length : stride]


def joined(one: Film, other: Film, _: Draw) -> tuple[Film, int, int]:
    return one + other, len(one), 0


def matched(one: Film, other: Film, draw: Draw) -> tuple[Film, int, int]:
    """The second scene with the first one's mean and deviation in each channel."""
    (mean, deviation), (mine, my_deviation) = ((np.mean(film, (0, 1, 2)), np.std(film, (0, 1, 2))) for film in (one, other))
    return joined(one, [as_picture((rgb - mine) / np.maximum(my_deviation, 1) * deviation + mean) for rgb in other], draw)


def broadcast(one: Film, other: Film, _: Draw) -> tuple[Film, int, int]:
    """Encoded by x264 so that little is left."""
    file = BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "38", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = *SIZE, "yuv420p", Fraction(1, 25)
        for rgb in one + other:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        film = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return film, len(one), 0


def dissolved(length: int) -> Callable[[Film, Film, Draw], tuple[Film, int, int]]:
    """Return a way to join in which `length` pictures are mixtures."""

    def join(one: Film, other: Film, _: Draw) -> tuple[Film, int, int]:
        shares = [(k + 1) / (length + 1) for k in range(length)]
        pairs = zip(one[-length:], other[:length], shares, strict=True)
        mixed = [as_picture((1 - share) * a.astype(np.float32) + share * b) for a, b, share in pairs]
        return one[:-length] + mixed + other[length:], len(one) - length + (length + 1) // 2, (length + 1) // 2

    return join


def through_black(one: Film, other: Film, _: Draw) -> tuple[Film, int, int]:
    black = [np.zeros_like(one[0])] * 3
    film = one[:-8] + dimmed(one[-8:]) + black + dimmed(other[:8][::-1])[::-1] + other[8:]
    return film, len(one) + 3, 2


def dimmed(film: Film) -> Film:
    return [as_picture(rgb * (1 - (k + 1) / (len(film) + 1))) for k, rgb in enumerate(film)]


def as_picture(values: npt.NDArray[np.float64] | npt.NDArray[np.float32]) -> RgbImage:
    return np.clip(values, 0, 255).astype(np.uint8)


def shaken(film: Film, draw: Draw) -> Film:
    moves = [np.array([[1, 0, dx], [0, 1, dy]], np.float32) for dx, dy in draw.integers(-12, 13, (len(film), 2))]
    return [cv2.warpAffine(rgb, move, SIZE, borderMode=cv2.BORDER_REFLECT) for rgb, move in zip(film, moves, strict=True)]


def noisy(film: Film, draw: Draw) -> Film:
    return [as_picture(rgb + draw.normal(0, 25, rgb.shape)) for rgb in film]


def flashed(film: Film, draw: Draw) -> Film:
    """A flash of one to three frames in every twelve, all white or bright round a random place."""
    out = list(film)
    for first in range(6, len(film) - 3, PIECE):
        x, y = draw.integers(SIZE)
        light = 255 * np.exp(-((np.arange(SIZE[0]) - x) ** 2 + (np.arange(SIZE[1])[:, None] - y) ** 2) / (2 * 80**2))[..., None]
        whole = bool(draw.integers(2))
        for t in range(first, first + int(draw.integers(1, 4))):
            out[t] = as_picture(film[t] + (255 if whole else 2 * light))
    return out


def dipped(film: Film, _: Draw) -> Film:
    """The light goes out within ten frames, is out for five, and comes back."""
    if len(film) < 25:
        return film[:0]
    return dimmed(film[:10]) + [np.zeros_like(film[0])] * 5 + dimmed(film[15:25][::-1])[::-1] + film[25:]


def equal_scenes(count: int, draw: Draw) -> Iterator[tuple[Film, int, int]]:
    """Yield two scenes of soft noise, as `faults/make_cut.py` draws them."""
    for _ in range(count):
        scenes = [cv2.GaussianBlur(draw.integers(0, 255, (180, 320, 3), np.uint8), (0, 0), 5) for _ in range(2)]
        yield [scenes[0]] * PIECE + [scenes[1]] * PIECE, PIECE, 0


def report_recall(name: str, films: Iterable[tuple[Film, int, int]]) -> None:
    hits = either = wrong = count = frames = 0
    for film, where, slack in films:
        ways = cuts_of(film)
        right = [[abs(found - where) <= slack for found in way] for way in ways]
        hits += all(way == [True] for way in right)
        either += any(any(way) for way in right)
        wrong += sum(way.count(False) for way in right)
        count, frames = count + 1, frames + 2 * len(film)
    print(f"{name:34s} found {wilson(hits, count)}; in one direction at least {either}; {wrong} others in {frames} frames", flush=True)


def report_false(name: str, films: Iterable[Film]) -> None:
    told = frames = unequal = 0
    for film in films:
        forwards, backwards = cuts_of(film)
        told, frames, unequal = told + len(forwards), frames + len(film), unequal + (forwards != backwards)
    print(f"{name:34s} false {wilson(told, frames)}; {unequal} clips differ backwards", flush=True)


def report(clips: dict[str, Film], draw: Draw) -> None:
    pairs = [pair for pair in itertools.permutations(clips, 2) if set(pair) not in SAME_SCENE]
    joins = {"hard": joined, "hard, same mean and deviation": matched, "hard, x264 at crf 38": broadcast}
    for name, join in joins.items():
        report_recall(name, (join(piece(clips[a], draw), piece(clips[b], draw), draw) for a, b in pairs))
    # every third pair is enough for what has no target
    pairs = pairs[::3]
    for stride in (2, 3, 5):
        films = ((piece(clips[a], draw, stride, 5), piece(clips[b], draw, stride, 5)) for a, b in pairs)
        report_recall(f"hard, every {stride}. frame", (joined(one, other, draw) for one, other in films))
    report_recall("hard, drawn, equal colours", equal_scenes(100, draw))
    for length in (1, 3, 6, 12):
        films = ((piece(clips[a], draw, length=PIECE + length), piece(clips[b], draw, length=PIECE + length)) for a, b in pairs)
        report_recall(f"dissolve of {length}", (dissolved(length)(one, other, draw) for one, other in films))
    report_recall("through black", (through_black(piece(clips[a], draw), piece(clips[b], draw), draw) for a, b in pairs))
    halves = [(film[:PIECE], film[-PIECE:]) for film in clips.values() if len(film) >= 48]
    report_recall("jump within a clip", (joined(one, other, draw) for one, other in halves))
    for stride in (1, 2, 3, 5, 12):
        report_false(f"every {stride}. frame", (film[start::stride] for film in clips.values() for start in range(stride)))
    for name, change in {"shaken by 4 %": shaken, "noisy": noisy, "flashes": flashed, "dimmed and back": dipped}.items():
        report_false(name, (change(film, draw) for film in clips.values()))


def milliseconds(film: Film) -> float:
    """Return the processor time per frame of 854 x 480."""
    frames = [Frame(index, index / 25, cv2.resize(rgb, (854, 480))) for index, rgb in enumerate(film)]
    started = time.process_time()
    for _ in with_cuts(frames, "forwards"):
        pass
    return 1000 * (time.process_time() - started) / len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", type=Path, metavar="FILM")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--half", choices=("fit", "test"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    for path in args.films:
        print(path.name, *cuts_of(read(path)))
    if args.films:
        return
    clips = load_clips(args.data)
    names = sorted(clips)
    chosen = {None: names, "fit": names[::2], "test": names[1::2]}[args.half]
    report({name: clips[name] for name in chosen}, np.random.default_rng(0))
    print(f"{milliseconds(clips['davis16_dev/breakdance']):.2f} ms a frame at 854 x 480")


if __name__ == "__main__":
    main()
