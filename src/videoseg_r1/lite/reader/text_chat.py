"""The trained language side of `lite`: a chat model that reads the transcript of a scene as text, as voter and as reasoner.

The reasoner is that of every other chat model (`stages.reasoning.chat_reasoner`), with its further attempts where a reply cannot be read;
only the question differs: a transcript in place of pictures. Not here: the untrained model (`base`), its trained weights (`trained`,
`weights_delta`), perception.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import torch

from videoseg_r1.chat.base import VOTE, Message, Reply, Sampling
from videoseg_r1.chat.families import Family
from videoseg_r1.chat.generation import Generation, Prompt
from videoseg_r1.lite.language.matcher import LOOKS, looks
from videoseg_r1.lite.language.transcript import transcript
from videoseg_r1.lite.perception.perceived_video import Perception
from videoseg_r1.lite.perception.regions import Region
from videoseg_r1.lite.perception.tracks import ThingTrack, follow
from videoseg_r1.lite.reader.base import interval_prompt, position_prompt, reasoning_prompt
from videoseg_r1.models.pretrained import Network
from videoseg_r1.prompts import CANONICAL, ParseFailure, neutralize_tags, parse_interval, parse_position
from videoseg_r1.stages.protocols import Context, Shown
from videoseg_r1.stages.reasoning.chat_reasoner import Question
from videoseg_r1.types import Box, Frame, Reasoning
from videoseg_r1.video import Video
from videoseg_r1.video.indices import uniform

_MAX_VOTE_TOKENS = 48


class TextChat:
    """A `Chat` on a language model that reads text alone. Threads may share it: it answers one question at a time.

    Args:
        network: of a class for `AutoModelForCausalLM`, on the device on which it is to run; prompts are moved there.
        tokenizer: that fits it, with a chat template.
        name: what it is called in the trace.
    """

    family = Family("lite", 1, relative=False)
    notes: tuple[str, ...] = ()

    def __init__(self, network: Network, tokenizer: Any, name: str) -> None:
        self.description = name
        self._tokenizer = tokenizer
        self._generation = Generation(network.eval().requires_grad_(False))
        self._lock = Lock()

    def ask(self, messages: Sequence[Message], sampling: Sampling, num_replies: int = 1) -> list[Reply]:
        """Return replies to the same messages; see `Chat.ask`. Raises ModelError."""
        num_drawn = 1 if sampling.temperature == 0 else num_replies
        with self._lock:  # `Generation` keeps the state of the last prompt
            drawn = self._generation.draw(Prompt({"input_ids": self.tokens(messages)}), sampling, range(num_drawn))
        replies = [Reply(self._tokenizer.decode(one.tokens, skip_special_tokens=True), one.complete) for one in drawn]
        return replies * (num_replies // num_drawn)

    def tokens(self, messages: Sequence[Message]) -> torch.Tensor:
        """Return the prompt as int64 (1, L), up to where the reply begins."""
        inputs = self._tokenizer.apply_chat_template(turns(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True)
        return inputs["input_ids"]

    def num_tokens(self, text: str) -> int:
        """Return the length of a text in tokens."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return messages of text as chat templates take them; what a tokenizer would take for a control token is made plain text."""
    return [{"role": message.role, "content": "\n".join(_plain(part) for part in message.parts)} for message in messages]


def _plain(part: object) -> str:
    text = str(part)
    for tag in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        text = text.replace(tag, neutralize_tags(tag)[0])
    return text


class TranscriptVoter:
    """A `Voter` on a text chat: it reads the transcript of the frames that are shown.

    Args:
        chat: the model.
        perception: what looks at the frames.
        seed: of the replies.
    """

    def __init__(self, chat: TextChat, perception: Perception, seed: int = 0) -> None:
        self._chat, self._perception, self._seed = chat, perception, seed

    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        """Return k intervals in percent of the frames shown, None where a reply could not be read. Raises ModelError."""
        return [parse_interval(text) for text in self._ask(interval_prompt(self._transcript(frames), query), k)]

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        """Return m positions in percent of the frames shown, None where a reply could not be read. Raises ModelError."""
        return [parse_position(text) for text in self._ask(position_prompt(self._transcript(frames), query), m)]

    def _ask(self, messages: Sequence[Message], num_replies: int) -> list[str]:
        sampling = replace(VOTE, max_tokens=_MAX_VOTE_TOKENS, seed=self._seed)
        return [reply.text for reply in self._chat.ask(messages, sampling, num_replies)]

    def _transcript(self, frames: Shown) -> str:
        """Return the transcript of as many of the frames as were shown in training: the same ones that stage 2 looks at."""
        seen = uniform(frames.indices[0], frames.indices[-1], LOOKS)
        return transcript_of(self._perception, frames.video, seen, seen[len(seen) // 2])


@dataclass(frozen=True)
class TranscriptQuestion(Question):
    """A question about a transcript; what is read of a reply names the things that it is about.

    Attributes:
        lines: the region in the target frame of every thing that is seen there, by the number of its line, which is its `track_id`.
    """

    lines: Mapping[int, Region]

    def read(self, reply: Reply) -> Reasoning | ParseFailure:
        """Return what a reply says, in pixels of the target frame; each cue with the id of the thing whose box it has."""
        found = super().read(reply)
        if isinstance(found, ParseFailure):
            return found
        return replace(found, cues=tuple(replace(cue, track_id=self._thing_at(cue.box)) for cue in found.cues))

    def _thing_at(self, box: Box | None) -> int | None:
        """Return the id of the thing whose box is nearest to this one; None where none is as near as replies are rounded."""
        within = max(1.0, max(self.frame_size) / CANONICAL[0])  # one unit of the canonical frame, or one pixel where that is more
        near = [(_largest_gap(view.box, box), track_id) for track_id, view in self.lines.items() if box is not None]
        gap, track_id = min(near, key=lambda pair: pair[0], default=(within, None))
        return track_id if gap <= within else None


def _largest_gap(one: Box, other: Box) -> float:
    """Return the distance of two boxes in the side where it is largest, in pixels."""
    return max(abs(one.x1 - other.x1), abs(one.y1 - other.y1), abs(one.x2 - other.x2), abs(one.y2 - other.y2))


def transcript_question(perception: Perception, target: Frame, context: Context, query: str) -> TranscriptQuestion:
    """Return the question about a target frame, with the transcript of the scene; answers are in the canonical 840 x 840 frame."""
    video, size = context.video, (target.rgb.shape[1], target.rgb.shape[0])
    tracks = _tracks(perception, video, looks(video.num_frames, context.pick.segment, target.index))
    messages = reasoning_prompt(transcript(tracks, target.index, video.num_frames, size), query)
    lines = {number: track.regions[target.index] for number, track in enumerate(tracks, 1) if target.index in track.regions}
    return TranscriptQuestion(tuple(messages), size, CANONICAL, lines)


def transcript_of(perception: Perception, video: Video, frames: Sequence[int], target: int) -> str:
    """Return the transcript of some frames of a video, with boxes at the target frame, which is one of them."""
    return transcript(_tracks(perception, video, frames), target, video.num_frames, (video.info.width, video.info.height))


def _tracks(perception: Perception, video: Video, frames: Sequence[int]) -> list[ThingTrack]:
    return follow(perception.of(video).scan(video, sorted(set(frames))))
