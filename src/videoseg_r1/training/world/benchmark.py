"""The world as a benchmark: rendered clips, each with one question and true masks, for `evaluation` and for real perception.

Not here: text-only samples (`sample`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from videoseg_r1.datasets.sample import Sample
from videoseg_r1.masks import union_of
from videoseg_r1.training.world.render import RenderedScene
from videoseg_r1.training.world.sample import Split, draw_sample
from videoseg_r1.types import BoolMask
from videoseg_r1.video import open_video


@dataclass(frozen=True, eq=False)
class DrawnGold:
    """The visible pixels of some things of a drawn scene."""

    key: str
    drawn: RenderedScene
    targets: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        return self.drawn.scene.size

    def __len__(self) -> int:
        return len(self.drawn)

    def mask(self, index: int) -> BoolMask:
        return union_of(self.drawn.masks(index)[list(self.targets)])


def rendered_samples(seeds: Iterable[int], split: Split = "val") -> list[Sample]:
    """Return a clip with one question for every seed, named "SPLIT-SEED"; pictures are drawn when they are read."""
    return [_rendered(seed, split) for seed in seeds]


def _rendered(seed: int, split: Split) -> Sample:
    sample = draw_sample(seed, split)
    drawn, name = RenderedScene(sample.scene, seed), f"{split}-{seed}"
    return Sample(
        video_id=name,
        expression_id="0",
        query=sample.query.text,
        kind=sample.query.kind,
        frame_names=tuple(f"{index:05d}" for index in range(len(drawn))),
        open=partial(open_video, drawn),
        gold=DrawnGold(f"{name}/{sample.targets}", drawn, sample.targets),
        clips=(name,),
        best_frame=sample.pick.target_frame,
        difficulty={"world": sample.difficulty},
    )
