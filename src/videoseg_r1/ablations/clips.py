"""How stage 2 of `lite` reads what perception writes of real clips: readers and the matcher, on the same target frames.

Stage 1 is the matcher's for all. What is compared is the box in the target frame with that of the true mask: no masks are made, so
this takes minutes where `videoseg eval` takes hours. Not here: masks through time (`videoseg_r1.evaluation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from videoseg_r1.chat.base import Reply
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.lite.language.matcher import Choice, LiteVoter, Matcher
from videoseg_r1.lite.reader.arbiter import outweighs
from videoseg_r1.lite.reader.text_chat import transcript_question
from videoseg_r1.masks.geometry import box_of, iou
from videoseg_r1.prompts import CANONICAL
from videoseg_r1.stages.protocols import Context
from videoseg_r1.stages.reasoning.chat_reasoner import Question
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler
from videoseg_r1.types import Box, Reasoning
from videoseg_r1.video import Video


@dataclass(frozen=True)
class Case:
    """A question about a clip; boxes are in pixels of the target frame.

    Attributes:
        sample: it is from.
        asked: what a reader is asked.
        truth: the true box, None where nothing is meant or to be seen.
        second: what the matcher answers.
        lines: the boxes of the transcript.
    """

    sample: Sample
    asked: Question
    truth: Box | None
    second: Choice
    lines: tuple[Box, ...]

    def read(self, reply: str) -> tuple[Box, ...] | None:
        """Return the boxes of a reply, None where it cannot be read."""
        found = self.asked.read(Reply(reply))
        return found.boxes if isinstance(found, Reasoning) else None

    def with_opinion(self, boxes: tuple[Box, ...] | None) -> tuple[Box, ...]:
        """Return what a reader and the matcher answer together (`lite.opinion`). Args: `boxes` of the reader, None for no answer."""
        return self.matched if outweighs(self.second, boxes) else boxes or ()

    @property
    def matched(self) -> tuple[Box, ...]:
        """What the matcher answers."""
        return self.second.answer.boxes

    def worth(self, boxes: Sequence[Box] | None) -> float:
        """Return the box IoU of an answer, 0 for several boxes, none, or what cannot be read; without a target 1 for none."""
        if self.truth is None:
            return float(boxes is not None and not boxes)
        return iou(boxes[0], self.truth) if boxes and len(boxes) == 1 else 0.0


def cases_of(samples: Sequence[Sample]) -> Iterator[Case]:
    """Yield the cases; a frame of a clip is looked at once for all its questions, as long as they come one after another."""
    for _, group in groupby(samples, key=lambda sample: sample.video_id):
        own = list(group)
        with own[0].open() as video:
            yield from (_case(sample, video) for sample in own)


def _case(sample: Sample, video: Video) -> Case:
    pick = HierarchicalSampler(LiteVoter()).pick(video, sample.query)
    target, context = video.read([pick.target_frame])[0], Context(video, pick)
    second = Matcher().choose(target, context, sample.query)
    asked = transcript_question(target, context, sample.query)
    mask = sample.mask(pick.target_frame)
    return Case(sample, asked, box_of(mask) if mask.any() else None, second, tuple(_boxes_in(asked)))


def _boxes_in(asked: Question) -> Iterator[Box]:
    """Yield the boxes of the lines that are about things in the target frame."""
    sx, sy = asked.frame_size[0] / CANONICAL[0], asked.frame_size[1] / CANONICAL[1]
    for line in str(asked.messages[-1].parts[0]).splitlines():
        _, found, box = line.partition("box [")
        if found and box.endswith("]"):
            x1, y1, x2, y2 = (int(number) for number in box.removesuffix("]").split())
            yield Box(x1 * sx, y1 * sy, x2 * sx, y2 * sy)
