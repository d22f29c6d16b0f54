"""Training samples of the world: a transcript, a question about it, the answer, the evidence, and how hard it is.

Everything follows from the seed. The truth is that of the scene, in the canonical 840 x 840 frame; the target reply copies
the line of the transcript, which is all a reader of it can know. Not here: rewards, pictures of the same scenes (`render`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from videoseg_r1.datasets.training import training_pick
from videoseg_r1.errors import unknown_name
from videoseg_r1.lite.language.matcher import looks
from videoseg_r1.lite.language.transcript import canonical_box, canonical_middle, transcript
from videoseg_r1.lite.perception.tracks import ThingTrack
from videoseg_r1.prompts import CANONICAL, format_reply
from videoseg_r1.training.world import names
from videoseg_r1.training.world.evidence import MANNERS, Line, Manner, Page, wanted
from videoseg_r1.training.world.perception import NOISES, Noise, noises, perceive
from videoseg_r1.training.world.queries import Query, Resolved, draw_query, draw_wording
from videoseg_r1.training.world.scene import MAX_THINGS, Scene, draw_scene
from videoseg_r1.training.world.templates import KINDS_OF_QUERY
from videoseg_r1.types import BoolMask, Box, Cue, KeyframePick, Point

Split: TypeAlias = Literal["train", "val", "ood"]
SPLITS: tuple[Split, ...] = ("train", "val", "ood")
"""`val` is other scenes of what `train` is made of; `ood` is made of what is held out: kinds, facts, templates, noise."""

_HOPS = {
    "name": 0.0,
    "vague": 0.3,
    "category": 0.5,
    "colour_name": 0.7,
    "attribute": 1.0,
    "position": 1.0,
    "size": 1.5,
    "several": 2.0,
    "motion": 2.0,
    "absent": 2.5,
    "commonsense": 3.0,
    "function": 3.0,
    "order": 4.0,
}
_SLOWEST = ("several", "order", "commonsense")
"""Kinds of query that take longest to learn: they are asked first, of every scene that has an unambiguous one."""
_SCARCE, _SCARCE_FIRST = ("order", "order", "several"), 0.6
"""Kinds of query that are unambiguous in few scenes only, and the share of scenes that are drawn to have one of them."""
_FEW = 4
_TRIES_PER_KIND = 6
_MAX_TRIES = 12  # queries asked of one scene before another one is drawn


@dataclass(frozen=True, eq=False)
class WorldSample:
    """One question about one scene.

    Attributes:
        split, scene, noise: where it is from.
        query, targets, rivals: the question, the things it means (indices of `scene.things`) from line to line, and those that nearly fit.
        pick: target frame, and the key segment around it.
        tracks: what perception saw, in the order of the lines.
        transcript: what it says.
        cues: what the lines of the targets say, one per target, in the canonical frame: the target answer.
        manner, thinking: length and text of the reasoning that follows from the transcript.
        follows: whether that reasoning leads to the answer; perception may have missed or mistaken what decides.
        difficulty: 1 (easy) to 10, from the kind of the query, the number of things and rivals, and the noise.
    """

    split: Split
    scene: Scene
    noise: Noise
    query: Query
    targets: tuple[int, ...]
    rivals: tuple[int, ...]
    pick: KeyframePick
    tracks: tuple[ThingTrack, ...]
    transcript: str
    cues: tuple[Cue, ...]
    manner: Manner
    thinking: str
    follows: bool
    difficulty: float

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The true boxes of the targets in the target frame, in the canonical frame."""
        return tuple(self.scene.box(thing, self.pick.target_frame, CANONICAL) for thing in self.targets)

    @property
    def points(self) -> tuple[Point, ...]:
        """The middles of the true boxes."""
        return tuple(box.center for box in self.boxes)

    def masks(self) -> BoolMask:
        """Return (N, 840, 840) bool, the true boxes filled: what a text-only world has for masks."""
        masks = np.zeros((len(self.targets), *CANONICAL[::-1]), np.bool_)
        for mask, box in zip(masks, self.boxes, strict=True):
            mask[round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)] = True
        return masks

    def reply(self) -> str:
        """Return the target reply, in the format that `parse_reply` reads."""
        return format_reply(self.thinking, self.cues, CANONICAL)


def draw_world_sample(seed: int, split: Split = "train", kind: str | None = None, noise: Noise | None = None) -> WorldSample:
    """Return the sample of this seed.

    Args:
        seed: from 0; the splits share no seed's scene.
        split: what it is made of.
        kind: one of KINDS_OF_QUERY, drawn when not given.
        noise: how wrong perception is, drawn from the split's levels when not given.
    Raises: UnknownName: no such split or kind.
    """
    rng = rng_of(seed, split)
    kind = kind or KINDS_OF_QUERY[int(rng.integers(len(KINDS_OF_QUERY)))]
    levels = noises(split == "ood")
    noise = noise or levels[int(rng.integers(len(levels)))]
    scene, frame, resolved = draw_case(rng, kind, split)
    return _perceived(rng, split, scene, frame, [resolved], noise)[0]


def draw_group(seed: int, split: Split = "train", size: int = 4, *, easy: bool = False) -> list[WorldSample]:
    """Return samples about one scene and target frame: they share the transcript, which is most of the text.

    Only those whose answer follows from the transcript: a question that no reader can answer would train guessing. The first is of any
    kind; the kinds that take longest to learn come next, the others after them.

    Args:
        seed: from 0; its scene is that of no `draw_world_sample`.
        split: what it is made of.
        size: how many are drawn; fewer where the scene has not as many clear questions, at least one.
        easy: with few things, and perception makes no mistakes.
    Raises: UnknownName: no such split.
    """
    rng = rng_of(seed, split).spawn(1)[0]
    levels = noises(split == "ood")
    noise = NOISES[0] if easy else levels[int(rng.integers(len(levels)))]
    most = _FEW if easy else MAX_THINGS
    while True:
        asked = _asked(rng, split, size, most)
        samples = [sample for sample in _perceived(rng, split, *asked, noise) if sample.follows]
        if samples:
            return samples


def draw_sentences(seed: int, split: Split = "train", size: int = 16) -> list[tuple[str, str]]:
    """Return sentences, half and more about what things do and are for, and how the thinking about each begins.

    That much needs no scene, so a reader can be trained on many sentences for one scene.

    Args:
        seed, split: as for `draw_group`.
        size: how many.
    Raises: UnknownName: no such split.
    """
    rng = rng_of(seed, split).spawn(2)[1]
    kinds = [*("commonsense", "function") * (size * 2 // 5), *(str(kind) for kind in rng.permutation(KINDS_OF_QUERY))][:size]
    queries = [draw_wording(rng, kind, split == "ood") for kind in kinds]
    return [(query.text, wanted(query)) for query in queries]


def rng_of(seed: int, split: Split) -> np.random.Generator:
    """Return the source of everything that is drawn for a seed of a split. Raises UnknownName: no such split."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    return np.random.default_rng([SPLITS.index(split), seed])


def draw_case(rng: np.random.Generator, kind: str, split: Split, most: int = MAX_THINGS) -> tuple[Scene, int, Resolved]:
    """Return a scene of at most `most` things, its target frame, and a query of this kind with its answer.

    Raises: UnknownName: no such kind.
    """
    if kind not in KINDS_OF_QUERY:
        raise unknown_name("kind of query", kind, KINDS_OF_QUERY)
    held_out = split == "ood"
    pool = names.kinds(held_out)
    eventful = kind == "order"
    elsewhere = scene = draw_scene(rng, pool, eventful, most)
    while True:
        for _ in range(_MAX_TRIES):
            frame = int(rng.integers(scene.num_frames))
            resolved = draw_query(rng, scene, frame, kind, held_out, elsewhere)
            if resolved:
                return scene, frame, resolved
        elsewhere, scene = scene, draw_scene(rng, pool, eventful, most)


def _asked(rng: np.random.Generator, split: Split, size: int, most: int) -> tuple[Scene, int, list[Resolved]]:
    """Return a scene, its target frame and different questions about it."""
    kinds = [str(kind) for kind in rng.permutation(KINDS_OF_QUERY)]
    if rng.random() < _SCARCE_FIRST:
        kinds.insert(0, str(rng.choice(_SCARCE)))
    scene, frame, first = draw_case(rng, kinds[0], split, most)
    elsewhere = draw_scene(rng, names.kinds(split == "ood"), most=most)
    found = {first.query.text: first}
    # a few tries of every kind, so that those which seldom have a clear reading are asked as often as the others
    for kind in (*_SLOWEST, *(kind for kind in kinds[1:] if kind not in _SLOWEST)):
        tries = (draw_query(rng, scene, frame, kind, split == "ood", elsewhere) for _ in range(_TRIES_PER_KIND))
        resolved = next((one for one in tries if one), None) if len(found) < size else None
        if resolved:
            found.setdefault(resolved.query.text, resolved)
    return scene, frame, list(found.values())


def world_difficulty(kind: str, num_things: int, num_rivals: int, num_targets: int, noise_level: int) -> float:
    """Return D in 1..10: steps of reasoning that the query takes, plus clutter. Our rule; it never falls when an argument grows."""
    clutter = 0.3 * (num_things - 2) + 0.5 * min(num_rivals, 4) + 0.4 * max(0, num_targets - 1)
    return min(10.0, 1 + _HOPS[kind] + clutter + 0.8 * noise_level)


def _perceived(
    rng: np.random.Generator, split: Split, scene: Scene, frame: int, asked: Sequence[Resolved], noise: Noise
) -> list[WorldSample]:
    """Return a sample for each question that is asked of a scene; all read the same transcript."""
    pick = training_pick(rng, scene.num_frames, frame)
    indices = sorted({*looks(scene.num_frames, pick.segment), frame})
    meant = {thing for resolved in asked for thing in resolved.targets}
    sightings = perceive(rng, scene, indices, noise, names.kinds(split == "ood"), meant, frame)
    lines = [Line(number, sighting.thing, sighting.track) for number, sighting in enumerate(sightings, 1)]
    main = {line.thing: line for line in sorted(lines, key=lambda line: _area_at(line.track, frame))}
    tracks = tuple(sighting.track for sighting in sightings)
    text = transcript(tracks, frame, scene.num_frames, scene.size)
    page = Page(lines, frame, scene.size)
    samples: list[WorldSample] = []
    manners = rng.spawn(1)[0]  # its own source: what is drawn after it stays the same
    for resolved in asked:
        targets = tuple(sorted(resolved.targets, key=lambda thing: main[thing].number))  # the answer goes from line to line
        manner = MANNERS[int(manners.integers(len(MANNERS)))]
        evidence = page.weigh(resolved.query, manner)
        difficulty = world_difficulty(resolved.query.kind, len(scene.things), len(resolved.rivals), len(targets), noise.level)
        samples.append(
            WorldSample(
                split=split,
                scene=scene,
                noise=noise,
                query=resolved.query,
                targets=targets,
                rivals=resolved.rivals,
                pick=pick,
                tracks=tracks,
                transcript=text,
                cues=_cues([main[thing] for thing in targets], frame, scene.size),
                manner=manner,
                thinking=evidence.text,
                follows=evidence.chosen == tuple(main[thing].number for thing in targets),
                difficulty=difficulty,
            )
        )
    return samples


def _area_at(track: ThingTrack, frame: int) -> float:
    region = track.regions.get(frame)
    return region.area if region else 0.0


def _cues(lines: Sequence[Line], frame: int, size: tuple[int, int]) -> tuple[Cue, ...]:
    """Return box, middle and a free corner for each line, in the canonical frame: whole numbers that stand in the line."""
    views = [line.track.regions[frame] for line in lines]
    boxes = [Box(*(float(round(v)) for v in canonical_box(view, size))) for view in views]
    middles = [Point(*(float(round(v)) for v in canonical_middle(view))) for view in views]
    return tuple(
        Cue(box, (middle,), _corner(box, [other for other in boxes if other is not box]))
        for box, middle in zip(boxes, middles, strict=True)
    )


def _corner(box: Box, others: Sequence[Box]) -> tuple[Point, ...]:
    """Return a corner of the box, in the frame and in no other box; none where there is no room.

    A box holds pixels up to its far edges but not on them, so a corner with a far edge is beside the thing, though only just.
    """
    corners = (Point(box.x2, box.y2), Point(box.x2, box.y1), Point(box.x1, box.y2))
    free = (p for p in corners if p.x < CANONICAL[0] and p.y < CANONICAL[1] and not any(_holds(other, p) for other in others))
    return tuple(list(free)[:1])


def _holds(box: Box, point: Point) -> bool:
    return box.x1 <= point.x <= box.x2 and box.y1 <= point.y <= box.y2
