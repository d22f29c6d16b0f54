"""The world as a dataset of clips: rendered videos, each with one question and true masks, for evaluation of the whole pipeline.

Not here: transcripts without pictures (`sample`), how a scene is rendered (`render`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from videoseg_r1.datasets.clip import Clip, Expression, TrueMasks
from videoseg_r1.training.world.render import RenderedScene
from videoseg_r1.training.world.sample import Split, draw_world_sample
from videoseg_r1.types import BoolMask
from videoseg_r1.video import open_video


@dataclass(frozen=True, eq=False)
class RenderedMasks(TrueMasks):
    """The visible pixels of the things of a rendered scene; the id of an object is the index of its thing."""

    drawn: RenderedScene

    @property
    def size(self) -> tuple[int, int]:
        return self.drawn.scene.size

    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:
        return range(len(self.drawn))

    def read(self, object_ids: Sequence[str], index: int) -> BoolMask:
        return self.drawn.masks(index)[[int(name) for name in object_ids]]


def rendered_clips(seeds: Iterable[int], split: Split = "val") -> list[Clip]:
    """Return a clip with one question for every seed, named "SPLIT-SEED"; pictures are drawn when they are read."""
    return [_rendered(seed, split) for seed in seeds]


def _rendered(seed: int, split: Split) -> Clip:
    sample = draw_world_sample(seed, split)
    drawn = RenderedScene(sample.scene, seed)
    question = Expression(
        id="0",
        text=sample.query.text,
        object_ids=tuple(str(target) for target in sample.targets),
        kind=sample.query.kind,
        best_frame=sample.pick.target_frame,
        difficulty={"world": sample.difficulty},
    )
    return Clip(
        dataset="world",
        split=split,
        name=f"{split}-{seed}",
        frame_names=tuple(f"{index:05d}" for index in range(len(drawn))),
        open=partial(open_video, drawn),
        expressions=(question,),
        masks=RenderedMasks(drawn),
    )
