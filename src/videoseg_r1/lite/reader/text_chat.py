"""The trained language side of `lite`: a text-only chat model that reads the transcript of a scene, as voter and as reasoner.

The reasoner is the one of every other chat model, with its ladder of attempts; only the question differs: notes instead of pictures.
Not here: the untrained model (`base`), what it learned (`weights_delta`), perception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from videoseg_r1.chat.base import VOTE, Message, Reply, Sampling
from videoseg_r1.chat.families import Family
from videoseg_r1.chat.generation import Generation, Prompt
from videoseg_r1.lite.language.matcher import LOOKS, looks
from videoseg_r1.lite.language.transcript import transcript
from videoseg_r1.lite.perception.scene import scene_of
from videoseg_r1.lite.perception.tracks import follow
from videoseg_r1.lite.reader.base import interval_prompt, position_prompt, reasoning_prompt
from videoseg_r1.models.pretrained import Network
from videoseg_r1.prompts import CANONICAL, neutralize_tags, parse_interval, parse_position
from videoseg_r1.stages.protocols import Context, Shown
from videoseg_r1.stages.reasoning.chat_reasoner import Question
from videoseg_r1.types import Frame
from videoseg_r1.video import Video
from videoseg_r1.video.indices import uniform

_MAX_VOTE_TOKENS = 48


class TextChat:
    """A `Chat` on a language model without eyes.

    Args:
        network: of a class for `AutoModelForCausalLM`.
        tokenizer: that fits it, with a chat template.
        name: what it is called in the trace.
    """

    family = Family("lite", 1, relative=False)
    notes: tuple[str, ...] = ()

    def __init__(self, network: Network, tokenizer: Any, name: str) -> None:
        self.description = name
        self._tokenizer = tokenizer
        self._generation = Generation(network.eval().requires_grad_(False))

    def ask(self, messages: Sequence[Message], sampling: Sampling, num_replies: int = 1) -> list[Reply]:
        """Return replies to the same messages; see `Chat.ask`. Raises ModelError."""
        num_drawn = 1 if sampling.temperature == 0 else num_replies
        drawn = self._generation.draw(Prompt({"input_ids": self.tokens(messages)}), sampling, range(num_drawn))
        replies = [Reply(self._tokenizer.decode(one.tokens, skip_special_tokens=True), one.complete) for one in drawn]
        return replies * (num_replies // num_drawn)

    def tokens(self, messages: Sequence[Message]) -> Any:
        """Return the prompt as int64 (1, L), up to where the reply begins."""
        inputs = self._tokenizer.apply_chat_template(turns(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True)
        return inputs["input_ids"]

    def num_tokens(self, text: str) -> int:
        """Return the length of a text in tokens."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return messages of text as chat templates take them, with nothing in them that a tokenizer takes for a control token."""
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
        seed: of its replies.
        device: of perception.
    """

    def __init__(self, chat: TextChat, seed: int = 0, device: str = "cpu") -> None:
        self._chat, self._seed, self._device = chat, seed, device

    def intervals(self, frames: Shown, query: str, k: int) -> list[tuple[float, float] | None]:
        """Return k intervals in percent of the frames shown, None where a reply could not be read. Raises ModelError."""
        return [parse_interval(text) for text in self._ask(interval_prompt(self._notes(frames), query), k)]

    def positions(self, frames: Shown, query: str, m: int) -> list[float | None]:
        """Return m positions in percent of the frames shown, None where a reply could not be read. Raises ModelError."""
        return [parse_position(text) for text in self._ask(position_prompt(self._notes(frames), query), m)]

    def _ask(self, messages: Sequence[Message], num_replies: int) -> list[str]:
        sampling = replace(VOTE, max_tokens=_MAX_VOTE_TOKENS, seed=self._seed)
        return [reply.text for reply in self._chat.ask(messages, sampling, num_replies)]

    def _notes(self, frames: Shown) -> str:
        """Return the transcript of as many of the frames as were shown in training: the same ones that stage 2 looks at."""
        seen = uniform(frames.indices[0], frames.indices[-1], LOOKS)
        return notes_on(frames.video, seen, seen[len(seen) // 2], self._device)


def transcript_question(target: Frame, context: Context, query: str, device: str = "cpu") -> Question:
    """Return the question about a target frame, with the transcript of the scene; answers are in the canonical 840 x 840 frame."""
    frames = [*looks(context.video.num_frames, context.pick.segment), target.index]
    messages = reasoning_prompt(notes_on(context.video, frames, target.index, device), query)
    return Question(tuple(messages), (target.rgb.shape[1], target.rgb.shape[0]), CANONICAL)


def notes_on(video: Video, frames: Sequence[int], target: int, device: str = "cpu") -> str:
    """Return the transcript of some frames of a video, with boxes at the target frame, which is one of them."""
    tracks = follow(scene_of(video, device).scan(video, sorted(set(frames))))
    return transcript(tracks, target, video.num_frames, (video.info.width, video.info.height))
