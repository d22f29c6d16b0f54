"""Tables 5 and 6 at small scale, measured in masks: how the target frame is chosen, and which parts of a cue the segmenter is given.

Table 5 uses clips whose target is hidden for a while, where the choice of the frame matters. Table 6 scores the seed masks in the target
frame, before propagation. Not here: how well readers answer (`text`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Literal, TypeAlias

from videoseg_r1.ablations.figures import difference, figure, table_head, table_row
from videoseg_r1.datasets.sample import Sample, samples_of
from videoseg_r1.evaluation import by_text, evaluate
from videoseg_r1.masks import union_of
from videoseg_r1.metrics import region_similarity
from videoseg_r1.presets.table import load
from videoseg_r1.stages.protocols import Context
from videoseg_r1.stages.sampling.hierarchical import SamplerMode
from videoseg_r1.training.world import Split, draw_world_sample
from videoseg_r1.training.world.benchmark import rendered_clips
from videoseg_r1.types import Cue

_Values: TypeAlias = Mapping[str, Mapping[Any, Sequence[float]]]

Way: TypeAlias = SamplerMode | Literal["views"]
MODES: Mapping[Way, str] = {
    "first": "first frame",
    "direct": "target frame located directly",
    "random": "random frame of the key segment",
    "full": "key segment and target frame",
    "views": "as the preset does: masks where the answer is seen best",
}
_AGAINST: Mapping[Way, Sequence[Way]] = {"full": ("first", "direct", "random"), "views": ("first", "full")}
PARTS: Mapping[str, Callable[[Cue], Cue]] = {
    "point": lambda cue: Cue(None, cue.points),
    "box": lambda cue: Cue(cue.box),
    "box and point": lambda cue: Cue(cue.box, cue.points),
    "point and negative point": lambda cue: Cue(None, cue.points, cue.neg_points),
    "box and negative point": lambda cue: Cue(cue.box, (), cue.neg_points),
    "box, point and negative point": lambda cue: cue,
}


def changing_samples(num: int, split: Split = "val") -> list[Sample]:
    """Return rendered clips whose targets are hidden, late or gone in some frames; `num` of them, the first of their split."""
    seeds: list[int] = []
    for seed in range(100 * num):
        sample = draw_world_sample(seed, split)
        if sample.targets and not sample.scene.visible[list(sample.targets)].all():
            seeds.append(seed)
        if len(seeds) == num:
            break
    return samples_of(rendered_clips(seeds, split))


def hidden_samples(samples: Sequence[Sample]) -> list[Sample]:
    """Return those whose target is partly hidden, small or gone for a while: in some frame less than half of its median area."""
    found: list[Sample] = []
    for sample in samples:
        areas = [int(sample.mask(index).sum()) for index in sample.scored_frames] if sample.target_present else []
        if areas and min(areas) < median(areas) / 2:
            found.append(sample)
    return found


def by_mode(samples: Sequence[Sample], mode: Way, preset: str) -> list[float]:
    """Return J&F of every sample, its target frame chosen in this way. Args: `samples` with targets."""
    # masks in one frame, as the paper has them
    segmenter = load(preset) if mode == "views" else load(preset, sampler={"mode": mode}, extensions={"num_seed_frames": 1})
    rows = evaluate(samples, by_text(segmenter)).rows
    return [((one.j or 0.0) + (one.f or 0.0)) / 2 for one in rows]


def by_parts(samples: Sequence[Sample], preset: str) -> dict[str, list[float]]:
    """Return J of the seed masks in the target frame, by what of the answer the segmenter is given, for every sample with an answer."""
    found: dict[str, list[float]] = {name: [] for name in PARTS}
    for values in _seeds(samples, preset):
        for name, value in values.items():
            found[name].append(value)
    return found


def _seeds(samples: Sequence[Sample], preset: str) -> Iterator[dict[str, float]]:
    segmenter = load(preset)
    sampler, reasoner = segmenter.stages.sampler(0), segmenter.stages.reasoner(0)
    for sample in samples:
        if not sample.target_present:
            continue
        with sample.open() as video:
            pick = sampler.pick(video, sample.query)
            target = video.read([pick.target_frame])[0]
            cues = reasoner.reason(target, Context(video, pick), sample.query).cues
            if not cues or not all(cue.box and cue.points and cue.neg_points for cue in cues):
                continue
            truth = sample.mask(pick.target_frame)
            yield {
                name: region_similarity(union_of(segmenter.segmenter.segment(target, [part(cue) for cue in cues])), truth)
                for name, part in PARTS.items()
            }


def table_5(values: _Values) -> list[str]:
    """Return the lines of the table. Args: `values` of J&F by what the clips are, then by mode."""
    return _table("target frame", "J&F", values, MODES, _AGAINST)


def table_6(values: _Values) -> list[str]:
    """Return the lines of the table. Args: `values` of J by what the clips are, then by what the segmenter is given."""
    *others, whole = PARTS
    return _table("given", "J of the seed mask", values, {part: part for part in PARTS}, {whole: others})


def _table(what: str, score: str, values: _Values, rows: Mapping[Any, str], against: Mapping[Any, Sequence[Any]]) -> list[str]:
    """Return a row for each way and, below, by how much some are better than others on the same samples."""
    nums = [max(map(len, found.values()), default=0) for found in values.values()]
    lines = table_head([what, *(f"{score}, {name} (n {num})" for name, num in zip(values, nums, strict=True))])
    lines += [table_row(told, [figure(found.get(way, ())) for found in values.values()]) for way, told in rows.items()]
    for way, other in ((way, other) for way, others in against.items() for other in others):
        differences = [difference(found.get(way, ()), found.get(other, ())) for found in values.values()]
        lines.append(table_row(f"{rows[way]}, less {rows[other]}", differences))
    return lines
