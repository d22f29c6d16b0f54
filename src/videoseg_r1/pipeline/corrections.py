"""Further answers beyond the paper that correct masks: anchors in the key segment, and the self-check.

An anchor's answer is about the same objects as the target frame's, but nothing says which is which: they are told apart by where
the carried masks already are. Not here: carrying masks (`carried`), how a chat model looks at masks (`stages.reasoning.self_check`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from videoseg_r1.masks import iou_matrix
from videoseg_r1.output.render import overlay
from videoseg_r1.pipeline.carried import Carried
from videoseg_r1.pipeline.steps import Steps
from videoseg_r1.stages.protocols import Checker, Context, Reasoner, Segmenter
from videoseg_r1.types import Anchor, AnchorReason, BoolMask, Given, KeyframePick, Seeds
from videoseg_r1.video import Video

AGREES = 0.9
"""An anchor whose masks overlap the carried ones this much (IoU) brings nothing new."""
NUM_CHECKED = 6
"""Frames that a self-check shows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What further answers are asked with: the video, the sentence, the result of stage 1, and stage 2."""

    video: Video
    query: str
    keyframes: KeyframePick
    reasoner: Reasoner

    def at(self, frame_index: int, why: AnchorReason, steps: Steps) -> Anchor:
        """Return the answer of stage 2 with another frame as target frame."""
        with steps.step("reason"):
            frame = self.video.read([frame_index])[0]
            context = Context(self.video, replace(self.keyframes, target_frame=frame_index))
            return Anchor(frame_index, why, self.reasoner.reason(frame, context, self.query))


def asked_in_key_segment(asked: Asked, steps: Steps) -> tuple[Anchor, ...]:
    """Return the answers for the anchors that stage 1 chose beside the target frame (`SamplerConfig.num_anchors`)."""
    return tuple(asked.at(index, "split", steps) for index in asked.keyframes.anchors)


def asked_after_check(asked: Asked, checker: Checker, seeds: Seeds, carried: Carried, steps: Steps) -> tuple[Anchor, ...]:
    """Show the masks to the model once, and return its answer for the middle of the longest stretch that it finds wrong; none if none is.

    Args:
        asked: what to ask with.
        checker: the self-check.
        seeds: the seeds, whose frames are not shown.
        carried: the masks of every frame.
        steps: timed and told as "check" and "reason".
    """
    with steps.step("check"):
        frames = asked.video.read(checked_frames(asked.video.num_frames, list(seeds)))
        drawn = [replace(frame, rgb=overlay(frame.rgb, carried.spool.masks(frame.index))) for frame in frames]
        wrong = checker.wrong(drawn, asked.query)
    worst = worst_frame([frame.index for frame in frames], wrong)
    return () if worst is None else (asked.at(worst, "check", steps),)


def corrections(
    anchors: Sequence[Anchor], carried: Carried, video: Video, segmenter: Callable[[], Segmenter], steps: Steps
) -> dict[int, Given]:
    """Return what the anchors give that say otherwise than the masks that were carried to their frames, by frame."""
    seeds: dict[int, Given] = {}
    for anchor in anchors:
        if not anchor.reasoning.cues:
            continue
        with steps.timed("seed"):
            answered = segmenter().segment(video.read([anchor.frame_index])[0], anchor.reasoning.cues)
        given = corrected(answered, carried.spool.masks(anchor.frame_index))
        if given is not None:
            seeds[anchor.frame_index] = given
    return seeds


def corrected(answered: BoolMask, carried: BoolMask) -> Given | None:
    """Return what an anchor gives of the carried objects, or None where it brings nothing new.

    One object answered by one mask is that object, wherever it is. Of several, each answer goes to the object it overlaps most, one
    to one and best in sum; of an object that none overlaps nothing is given.

    Args:
        answered: bool (M, H, W), masks of the answer for this frame.
        carried: bool (N, H, W), masks that were carried there.
    """
    if len(answered) == 0 or not answered.any():
        return None
    overlap = iou_matrix(answered, carried)
    rows, columns = linear_sum_assignment(-overlap)
    one_each = len(answered) == len(carried) == 1
    pairs = [(row, column) for row, column in zip(rows, columns, strict=True) if one_each or overlap[row, column] > 0]
    if not pairs or all(overlap[pair] >= AGREES for pair in pairs):
        return None
    rows, columns = (list(side) for side in zip(*pairs, strict=True))
    masks, which = np.zeros_like(carried), np.zeros(len(carried), np.bool_)
    masks[columns], which[columns] = answered[rows], True
    return Given.of(Given(masks, which))


def checked_frames(num_frames: int, known: Sequence[int]) -> tuple[int, ...]:
    """Return the frames to show for a self-check: the middles of `NUM_CHECKED` equal parts of the video, known frames left out."""
    count = min(NUM_CHECKED, num_frames)
    middles = ((2 * part + 1) * num_frames // (2 * count) for part in range(count))
    return tuple(index for index in dict.fromkeys(middles) if index not in known)


def worst_frame(shown: Sequence[int], wrong: Sequence[int]) -> int | None:
    """Return the frame to ask about again: the middle one of the longest row of neighbours that are wrong; None if none is.

    Args:
        shown: frames that were shown, in order.
        wrong: those on which the mask is not what was asked for.
    """
    best: list[int] = []
    row: list[int] = []
    for index in shown:
        row = [*row, index] if index in wrong else []
        best = max(best, row, key=len)
    return best[len(best) // 2] if best else None
