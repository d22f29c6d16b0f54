"""Two harder versions of any samples, which only a method that reads the text can pass.

`mosaic` puts clips side by side: the motion and the salience of one half say nothing about which half is meant. `shuffle_text`
asks for things of another clip: a method that ignores the text scores as well as before.

Both depend on nothing but the samples and the seed. Whether the other half of a mosaic happens to show what an expression of the
first one means is not checked; absent targets are reported apart, as ever. Not here: how clips are joined (`side_by_side`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from videoseg_r1.datasets.clip import Clip
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.datasets.side_by_side import join_clips
from videoseg_r1.errors import InputError, InvalidConfig


def mosaic(samples: Sequence[Sample], num_clips: int = 2) -> list[Sample]:
    """Return every sample with its clip among others, side by side, played to the shortest of them.

    A clip is joined by the next ones in the order of names, the last by the first; expression number k of a clip has its own
    clip at place k modulo `num_clips`, so the sides take turns.

    Args:
        samples: of single clips, of one height.
        num_clips: 2 or more.
    Returns: as many samples, in the same order, named "left+right" and "clip-expression".
    Raises: InvalidConfig: `num_clips` below 2 or above the number of clips. InputError: heights differ.
    """
    by_clip = _by_clip(samples)
    names = sorted(by_clip)
    if not 2 <= num_clips <= len(names):
        raise InvalidConfig("a mosaic needs at least two clips", where=f"{num_clips} of {len(names)} clips")
    heights = {name: by_clip[name][0].size[1] for name in names}
    if len(set(heights.values())) > 1:
        why = ", ".join(f"{name}: {height}" for name, height in heights.items())
        raise InputError("clips of different heights cannot be joined side by side", where="mosaic", why=why)
    joined: list[Sample] = []
    ranks = dict.fromkeys(names, 0)
    for sample in samples:
        own = names.index(sample.video_id)
        others = [names[(own + step) % len(names)] for step in range(1, num_clips)]
        place = ranks[sample.video_id] % num_clips
        ranks[sample.video_id] += 1
        names_in_row = (*others[:place], sample.video_id, *others[place:])
        row = [sample.clip if name == sample.video_id else by_clip[name][0].clip for name in names_in_row]
        joined.append(_join(sample, row))
    return joined


def shuffle_text(samples: Sequence[Sample], seed: int = 0) -> list[Sample]:
    """Return the samples that have a target, each with an expression of another clip that is not to be seen in it.

    Clips give their expressions by a permutation without fixed points. An expression is replaced by one of the same kind where
    the giving clip has one. The true masks stay: what is measured is how much is found without being asked for.

    Raises: InputError: there is no such permutation, as when all clips are in all mosaics.
    """
    present = [sample for sample in samples if sample.target_present]
    by_clip = _by_clip(present)
    giver = _permutation({name: {clip for s in own for clip in s.shown} for name, own in by_clip.items()}, seed)
    shuffled: list[Sample] = []
    ranks: dict[tuple[str, str], int] = {}
    for sample in present:
        name = _own_clip(sample)
        rank = ranks.setdefault((name, sample.kind), 0)
        ranks[name, sample.kind] += 1
        pool = [s for s in by_clip[giver[name]] if s.kind == sample.kind] or by_clip[giver[name]]
        source = pool[rank % len(pool)]
        asked = replace(sample.expression, text=source.query)
        shuffled.append(replace(sample, expression=asked, query_from=f"{source.video_id}/{source.expression_id}"))
    return shuffled


def _join(sample: Sample, row: Sequence[Clip]) -> Sample:
    own = sample.expression
    num_frames = min(len(clip.frame_names) for clip in row)
    asked = replace(
        own,
        id=f"{sample.video_id}-{own.id}",
        object_ids=_in_row(sample, own.object_ids),
        best_frame=own.best_frame if own.best_frame is not None and own.best_frame < num_frames else None,
    )
    # the own clip comes first, wherever it stands in the picture
    shown = (sample.video_id, *(clip.name for clip in row if clip.name != sample.video_id))
    objects = _in_row(sample, sample.clip.object_ids)
    joined = replace(join_clips(row, [asked]), frame_names=sample.frame_names[:num_frames], objects=objects)
    return replace(sample, clip=joined, expression=asked, shown=shown)


def _in_row(sample: Sample, object_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids, in a joined clip, of objects of the sample's own clip."""
    return tuple(f"{sample.video_id}/{name}" for name in object_ids)


def _own_clip(sample: Sample) -> str:
    return sample.shown[0]


def _by_clip(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(_own_clip(sample), []).append(sample)
    return groups


def _permutation(seen: dict[str, set[str]], seed: int) -> dict[str, str]:
    """Return a clip for every clip, each once, none of those seen together with it: a matching, found along augmenting paths."""
    rng = np.random.default_rng(seed)
    names = sorted(seen)
    wishes = {name: [names[k] for k in rng.permutation(len(names)) if names[k] not in seen[name]] for name in names}
    receiver: dict[str, str] = {}

    def give(name: str, tried: set[str]) -> bool:
        for giver in wishes[name]:
            if giver not in tried:
                tried.add(giver)
                if giver not in receiver or give(receiver[giver], tried):
                    receiver[giver] = name
                    return True
        return False

    if not all(give(name, set()) for name in names):
        why = f"{len(names)} clips, each seen with up to {max(map(len, seen.values())) - 1} others"
        raise InputError("there are too few clips to exchange expressions", where="shuffle_text", why=why)
    return {name: giver for giver, name in receiver.items()}
