"""What the detector of `lite` finds of the annotated things of real clips, with which names, and what it costs.

    OMP_NUM_THREADS=1 python benchmarks/detector.py [--data ../shared/data] [--threshold 0.3] [--every 10] [--verbose]

A look is an annotated object in one frame. Found at 0.5 (0.3): a box has this IoU with that of its mask. Named: so at 0.5, and the best
name of a box that does is one of SENSIBLE; among the names: any name of such a box is. Called a person: of the objects that are or hold
one, a box called person that lies in the object's box by half of itself; false people are such boxes on objects of clips without people.
An object that is several things (a rider on a horse) has one box, which no single thing fills. Prints JSON; --verbose a line for each
object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from videoseg_r1.datasets.clip import Clip
from videoseg_r1.datasets.davis import load_davis16, load_davis17
from videoseg_r1.lite.perception.detector import Detection, detect
from videoseg_r1.lite.perception.nanodet import NanoDet, load_detector
from videoseg_r1.masks.geometry import box_of
from videoseg_r1.types import Box

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
HOOFED = {"horse", "sheep", "cow"}
ROAD = {"car", "truck", "bicycle", "motorcycle"}
SENSIBLE = {  # by dataset/clip, for each object: names that a person would let pass; COCO knows no swan, camel, goat or soapbox cart
    "davis16_dev/blackswan": [{"bird"}],
    "davis16_dev/breakdance": [{"person"}],
    "davis16_dev/camel": [{*HOOFED, "giraffe", "elephant"}],
    "davis16_dev/car-shadow": [{"car"}],
    "davis16_dev/dog": [{"dog"}],
    "davis16_dev/goat": [HOOFED],
    "davis16_dev/horsejump-high": [{"horse", "person"}],
    "davis16_dev/libby": [{"dog"}],
    "davis16_dev/paragliding-launch": [{"person"}],
    "davis16_dev/soapbox": [{*ROAD, "person"}],
    "multi_dev/dogs-jump": [{"dog"}, {"dog"}, {"person"}],
    "multi_dev/horsejump-high": [{"horse"}, {"person"}],
    "multi_dev/soapbox": [ROAD, {"person"}, {"person"}],
    "multi_dev/train": [{"train"}] * 4,
}
THINGS = {"davis16_dev": load_davis16, "multi_dev": load_davis17}


@dataclass(frozen=True)
class Look:
    """An object in a frame.

    Attributes:
        thing: the clip and the number of the object.
        human: whether a person is, or belongs to, the object; None if not, but people are in the clip.
        overlap, named, among: best IoU of any box, of one whose best name is sensible, of one that has a sensible name at all.
        person_inside: whether a person is seen in its box.
    """

    thing: str
    human: bool | None
    overlap: float
    named: float
    among: float
    person_inside: bool


@dataclass(frozen=True)
class Seen:
    """A frame: its looks, its boxes, and the CPU-seconds of the detector."""

    looks: list[Look]
    found: tuple[Detection, ...]
    cpu_s: float


def seen_in(clip: Clip, name: str, every: int, threshold: float, network: NanoDet) -> Iterator[Seen]:
    assert clip.masks is not None
    with clip.open() as video:
        for frame in video.read(range(0, len(clip.frame_names), every)):
            start = time.process_time()
            found = detect(frame.rgb, network, threshold=threshold)
            cpu_s = time.process_time() - start
            masks = clip.masks.read(clip.object_ids, frame.index)
            looks = [
                look_at(f"{name} {number}", box_of(mask), sensible, found, any("person" in one for one in SENSIBLE[name]))
                for number, mask, sensible in zip(clip.object_ids, masks, SENSIBLE[name], strict=True)
                if mask.any()
            ]
            yield Seen(looks, found, cpu_s)


def look_at(thing: str, box: Box, sensible: set[str], found: tuple[Detection, ...], with_people: bool) -> Look:
    def best(boxes: Iterable[Box]) -> float:
        return max((shared(box, other) / (box.area + other.area - shared(box, other)) for other in boxes), default=0.0)

    people = [one.box for one in found if one.name == "person"]
    return Look(
        thing=thing,
        human=True if "person" in sensible else None if with_people else False,
        overlap=best(one.box for one in found),
        named=best(one.box for one in found if one.name in sensible),
        among=best(one.box for one in found if sensible & dict(one.names).keys()),
        person_inside=any(shared(box, other) >= 0.5 * other.area for other in people),
    )


def shared(one: Box, other: Box) -> float:
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    return max(width, 0.0) * max(height, 0.0)


def figures(frames: list[Seen]) -> dict[str, float]:
    looks = [look for frame in frames for look in frame.looks]
    humans, others = ([look.person_inside for look in looks if look.human is human] for human in (True, False))
    return {
        "frames": len(frames),
        "looks": len(looks),
        "found_at_0.5": share([look.overlap >= 0.5 for look in looks]),
        "found_at_0.3": share([look.overlap >= 0.3 for look in looks]),
        "named_at_0.5": share([look.named >= 0.5 for look in looks]),
        "among_the_names_at_0.5": share([look.among >= 0.5 for look in looks]),
        "looks_at_people": len(humans),
        "called_a_person": share(humans),
        "looks_without_people": len(others),
        "false_people": share(others),
        "boxes_a_frame": round(float(np.mean([len(frame.found) for frame in frames])), 2),
        "names_a_box": round(float(np.mean([len(one.names) for frame in frames for one in frame.found])), 2),
        "cpu_s_a_frame": round(float(np.median([frame.cpu_s for frame in frames])), 4),
    }


def share(hits: list[bool]) -> float:
    return round(sum(hits) / max(1, len(hits)), 3)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=DEFAULT_DATA)
    options.add_argument("--threshold", type=float, default=0.3)
    options.add_argument("--every", type=int, default=10)
    options.add_argument("--verbose", action="store_true")
    given = options.parse_args()
    network = load_detector(torch.device("cpu"))
    report: dict[str, dict[str, float]] = {}
    for dataset, load in THINGS.items():
        frames: list[Seen] = []
        for clip in load(given.data / dataset):
            of_clip = list(seen_in(clip, f"{dataset}/{clip.name}", given.every, given.threshold, network))
            frames += of_clip
            if given.verbose:
                for thing in dict.fromkeys(look.thing for frame in of_clip for look in frame.looks):
                    alone = [Seen([look for look in frame.looks if look.thing == thing], frame.found, frame.cpu_s) for frame in of_clip]
                    print(thing, json.dumps(figures(alone)), file=sys.stderr)
        report[dataset] = figures(frames)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
