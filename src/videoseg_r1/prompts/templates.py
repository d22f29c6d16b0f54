"""The prompts, as data: an id, a version and a hash, so that a trace says which wording led to a reply.

The paper's prompts are not published; these are ours. They follow the order VisionReasoner describes: locate, compare, think in
tags, answer as JSON, with an example of two objects.
"""

from __future__ import annotations

import hashlib
import json
import string
from dataclasses import dataclass

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.prompts.writer import format_answer
from videoseg_r1.types import CANONICAL, Box, Cue, Point, Size


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt as data: `$name` marks what is filled in. A change of wording needs a new version."""

    id: str
    version: int
    system: str
    user: str

    @property
    def sha256(self) -> str:
        """Hex digest over id, version and both texts: what a trace names the prompt by."""
        document = json.dumps([self.id, self.version, self.system, self.user])
        return hashlib.sha256(document.encode()).hexdigest()

    def render(self, **values: object) -> tuple[str, str]:
        """Return (system, user) with the values filled in once: a `$name` inside a value stays as it is.

        A query must have been through `clean_query`.

        Raises: InvalidConfig: a value is missing.
        """
        try:
            return self.system, string.Template(self.user).substitute(values)
        except KeyError as error:
            raise InvalidConfig("a value of the prompt is missing", where=f"template {self.id}: {error.args[0]}") from error


_SYSTEM = "You are a helpful assistant who studies video frames and reports where things are."
_CLIP = """These $num_frames pictures are frames of one clip, in order of time: the first is at 0 percent, the last at 100 percent.
Sentence: "$query"
"""

REASONING = PromptTemplate(
    id="reasoning",
    version=1,
    system=_SYSTEM,
    user="""All pictures are frames of one video; the last one is the target frame.
Locate in the target frame everything that this sentence refers to: "$query"
First list the objects that could be meant. Compare them with the sentence and with each other, using what the other frames show, \
and keep only those that fit.
Put these considerations, in brief, between <think> and </think>, and your result between <answer> and </answer>.
The result is a JSON list with one entry per object: "bbox_2d" is its box [x1, y1, x2, y2], "point_2d" a point [x, y] well inside it, \
"neg_point_2d" a point [x, y] close to it, on something else that could be taken for a part of it. $coordinates
If the target frame shows nothing of the kind, the list is empty: [].
The form of a reply with two objects (the numbers are made up):
<think>your considerations</think><answer>$example</answer>""",
)
"""Needs `query`, `coordinates` (one sentence on the model family's convention) and `example` (`example_answer`)."""

INTERVAL_VOTE = PromptTemplate(
    id="interval-vote",
    version=1,
    system=_SYSTEM,
    user=_CLIP
    + """Over which part of the clip can what the sentence refers to be seen and told apart best? Choose the shortest part that settles it.
Reply with its start and end as whole percentages, in this form: <answer>[20, 60]</answer>""",
)
"""Needs `query` and `num_frames`; read the reply with `parse_interval`."""

INTERVAL_VOTE_SECONDS = PromptTemplate(
    id="interval-vote-seconds",
    version=1,
    system=_SYSTEM,
    user="""These $num_frames pictures are frames of one clip, in order of time; its time $times.
Sentence: "$query"
Over which part of the clip can what the sentence refers to be seen and told apart best? Choose the shortest part that settles it.
Reply with its start and end in seconds, in this form: <answer>$example</answer>""",
)
"""Needs `query`, `num_frames`, `times` ("runs from 0.0 s to 4.0 s") and `example`, such as [0.8, 2.4]; read with `parse_interval`."""

POSITION_VOTE = PromptTemplate(
    id="position-vote",
    version=1,
    system=_SYSTEM,
    user=_CLIP
    + """At which moment are the objects that the sentence refers to most completely and clearly visible?
Reply with this moment as a whole percentage, in this form: <answer>40</answer>""",
)
"""Needs `query` and `num_frames`; read the reply with `parse_position`."""

FORMAT_REMINDER = PromptTemplate(
    id="format-reminder",
    version=1,
    system=_SYSTEM,
    user="""This reply could not be read ($reason). Answer again in exactly this form, with nothing before or after it:
<think>your considerations</think><answer>$example</answer>""",
)
"""Needs `reason` (the kind of a `ParseFailure`) and `example`; a further turn after a reply that failed."""


SELF_CHECK = PromptTemplate(
    id="self-check",
    version=1,
    system=_SYSTEM,
    user="""These $num_frames pictures are frames of one video, in order of time. Coloured outlines mark what somebody took for \
this: "$query"
On which pictures is that wrong: the outline is around something else, takes in much that does not belong, or is missing although \
the thing can be seen?
Reply with the numbers of these pictures, in this form: <answer>[2, 5]</answer>
If all are right, the list is empty: <answer>[]</answer>""",
)
"""Needs `query` and `num_frames`; read the reply with `parse_numbers`."""

DIFFICULTY = PromptTemplate(
    id="difficulty",
    version=1,
    system=_SYSTEM,
    user="""These $num_frames pictures are frames of one video, in order of time. Somebody is to find in it what this sentence refers \
to, and to outline it exactly: "$query"
Rate how hard that is, each point with a whole number from 1 (trivial) to 10 (extremely hard):
"scene_complexity": how crowded the scene is, and how much in it looks alike.
"segmentation_challenge": how hard the outline is to draw: small, thin, blurred, hidden or camouflaged things.
"temporal_ambiguity": how much of the video one must have seen to know what is meant.
"motion_complexity": how fast and irregular things and camera move.
"linguistic_ambiguity": how much knowledge or reasoning the sentence needs, and how many ways there are to read it.
Reply with one JSON object of these five keys and nothing else, in this form (the numbers are made up):
$example""",
)
"""Needs `query`, `num_frames` and `example`, an object of the five keys; read the reply with `parse_ratings`."""

_NOTES = "You read notes on a video and find out what a sentence means."

TRANSCRIPT_REASONING = PromptTemplate(
    id="transcript-reasoning",
    version=1,
    system=_NOTES,
    user="""Which of these things does the sentence mean? Think in <think></think>, then give a JSON list in <answer></answer>, for each \
thing its bbox_2d, a point_2d inside it and a neg_point_2d close by; [] if there is none.
$transcript
Sentence: "$query\"""",
)
"""What is to be done comes first, so that questions about one scene differ in the sentence alone and share the computation of the rest.
Needs `transcript` and `query`: the question of `REASONING` put to a model that reads notes instead of pictures, in few words."""

TRANSCRIPT_INTERVAL = PromptTemplate(
    id="transcript-interval",
    version=1,
    system=_NOTES,
    user="""Over which part of the video is what the sentence means seen and told apart best? Answer with start and end in percent, as \
<answer>[20, 60]</answer>.
$transcript
Sentence: "$query\"""",
)
"""Needs `transcript` and `query`; read the reply with `parse_interval`."""

TRANSCRIPT_POSITION = PromptTemplate(
    id="transcript-position",
    version=1,
    system=_NOTES,
    user="""When is what the sentence means seen best? Answer with the moment in percent, as <answer>40</answer>.
$transcript
Sentence: "$query\"""",
)
"""Needs `transcript` and `query`; read the reply with `parse_position`."""


def example_answer(coord_size: Size = CANONICAL) -> str:
    """Return a JSON answer with two made-up objects, in the coordinates the model is to use. Two, because one teaches no list."""
    boxes = Box(84, 126, 336, 630), Box(462, 168, 756, 588)
    return format_answer([Cue(box, (box.center,), (Point(box.x2 + 25, box.center.y),)) for box in boxes], CANONICAL, coord_size)
