"""How stage 2 of `lite` reads what perception writes of real clips: readers and the matcher, on the same target frames.

Stage 1 is the matcher's for all. What is compared is the box in the target frame with that of the true mask: no masks are made, so
this takes minutes where `videoseg eval` takes hours. Not here: masks through time (`videoseg_r1.evaluation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from videoseg_r1.chat.base import Reply
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.lite.language.matcher import LiteVoter, Matcher, MatcherAnswer
from videoseg_r1.lite.language.transcript import told_box
from videoseg_r1.lite.perception.perceived_video import Perception
from videoseg_r1.lite.reader.arbiter import outweighs
from videoseg_r1.lite.reader.text_chat import TranscriptQuestion, transcript_question
from videoseg_r1.masks.geometry import box_of, iou
from videoseg_r1.prompts import CANONICAL
from videoseg_r1.stages.protocols import Context
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler
from videoseg_r1.types import Box, Cue, Reasoning
from videoseg_r1.video import Video


@dataclass(frozen=True)
class Case:
    """A question about a clip; boxes are in pixels of the target frame.

    Attributes:
        sample: it is from.
        asked: what a reader is asked.
        truth: the true box, None where nothing is meant or to be seen.
        matcher: what the matcher answers.
    """

    sample: Sample
    asked: TranscriptQuestion
    truth: Box | None
    matcher: MatcherAnswer

    def read(self, reply: str) -> tuple[Box, ...] | None:
        """Return the boxes of a reply, None where it cannot be read."""
        found = self.asked.read(Reply(reply))
        return found.boxes if isinstance(found, Reasoning) else None

    def arbitrated(self, boxes: tuple[Box, ...] | None) -> tuple[Box, ...]:
        """Return what the arbiter makes of a reader's boxes and the matcher's. Args: `boxes` of the reader, None for no answer."""
        cues = None if boxes is None else [Cue(box) for box in boxes]
        return self.matched if outweighs(self.matcher, cues) else boxes or ()

    @property
    def matched(self) -> tuple[Box, ...]:
        """What the matcher answers."""
        return self.matcher.reasoning.boxes

    @property
    def lines(self) -> tuple[Box, ...]:
        """The boxes that the transcript tells of the things in the target frame, in the order of its lines."""
        size = self.asked.frame_size
        sx, sy = size[0] / CANONICAL[0], size[1] / CANONICAL[1]
        told = (told_box(view, size) for view in self.asked.lines.values())
        return tuple(Box(x1 * sx, y1 * sy, x2 * sx, y2 * sy) for x1, y1, x2, y2 in told)

    def worth(self, boxes: Sequence[Box] | None) -> float:
        """Return the box IoU of an answer, 0 for several boxes, none, or what cannot be read; without a target 1 for none."""
        if self.truth is None:
            return float(boxes is not None and not boxes)
        return iou(boxes[0], self.truth) if boxes and len(boxes) == 1 else 0.0


def cases_of(samples: Sequence[Sample]) -> Iterator[Case]:
    """Yield the cases; a frame of a clip is looked at once for all its questions, as long as they come one after another."""
    perception = Perception(torch.device("cpu"))
    for _, group in groupby(samples, key=lambda sample: sample.video_id):
        own = list(group)
        with own[0].open() as video:
            yield from (_case(sample, video, perception) for sample in own)


def _case(sample: Sample, video: Video, perception: Perception) -> Case:
    pick = HierarchicalSampler(LiteVoter(perception)).pick(video, sample.query)
    target, context = video.read([pick.target_frame])[0], Context(video, pick)
    matcher = Matcher(perception).answer(target, context, sample.query)
    asked = transcript_question(perception, target, context, sample.query)
    mask = sample.mask(pick.target_frame)
    return Case(sample, asked, box_of(mask) if mask.any() else None, matcher)
