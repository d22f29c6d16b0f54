"""Chat models on this machine, through transformers: loading from a folder, prompts, and smaller steps when memory runs out.

Not here: how replies are drawn (`generation`), what differs between families (`families`), several devices at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from videoseg_r1.chat.base import Message, Reply, Sampling
from videoseg_r1.chat.families import Family, family_of
from videoseg_r1.chat.generation import Drawn, Generation, Prompt
from videoseg_r1.errors import ModelError
from videoseg_r1.models.devices import MemoryLadder, Placement, choose_placement
from videoseg_r1.models.pretrained import Network, load_network, load_processor, read_config
from videoseg_r1.models.weights import MODELS, locate
from videoseg_r1.prompts import neutralize_tags

_AT_ONCE = 16


class LocalChat:
    """A `Chat` that runs a network on this machine.

    Args:
        network: of a class for `AutoModelForImageTextToText`, of one of `families.FAMILIES`.
        processor: that fits it, with a chat template.
        placement: device and precision; by default the CPU in float32.
        name: what it is called in notes and errors, with its revision.
        allow_cpu: whether the CPU may be used when the memory of another device runs out.
    Raises: UnknownName: the network is of no known family.
    """

    def __init__(
        self, network: Network, processor: Any, placement: Placement | None = None, *, name: str = "chat model", allow_cpu: bool = True
    ) -> None:
        placement = placement or Placement(torch.device("cpu"), torch.float32)
        self.family: Family = family_of(network.config.model_type)
        self.description = name
        self._network = network.eval().requires_grad_(False).to(placement.device)
        self._processor = processor
        self._generation = Generation(network)
        self._special = _special_tokens(processor.tokenizer)
        self._allow_cpu = allow_cpu
        self._at_once = _AT_ONCE
        self._num_asked = 1
        self._ladder = MemoryLadder(name, self._steps())

    @property
    def notes(self) -> tuple[str, ...]:
        """The steps that were taken so far because memory ran out."""
        return tuple(self._ladder.notes)

    def ask(self, messages: Sequence[Message], sampling: Sampling, num_replies: int = 1) -> list[Reply]:
        """Return replies to the same messages; see `Chat.ask`. Raises ModelError, ResourceError."""
        text, prompt = self._prompt(messages)
        num_drawn = 1 if sampling.temperature == 0 else num_replies
        self._num_asked = num_drawn
        drawn = self._ladder.run(lambda: self._draw(prompt, sampling, num_drawn))
        replies = [self._reply(one, text) for one in drawn]
        return replies * num_replies if sampling.temperature == 0 else replies

    def num_tokens(self, text: str) -> int:
        """Return the length of a text in tokens."""
        return len(self._processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _prompt(self, messages: Sequence[Message]) -> tuple[str, Prompt]:
        """Return what the chat template makes of messages, and its tensors. Special tokens in texts become plain text."""
        pictures = [part for message in messages for part in message.parts if not isinstance(part, str)]
        turns = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": self._special.sub(lambda found: neutralize_tags(found.group())[0], part)}
                    if isinstance(part, str)
                    else {"type": "image"}
                    for part in message.parts
                ],
            }
            for message in messages
        ]
        text = self._processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **self.family.template_options)
        # the pictures have their size: what the checkpoint would make of them must not move the coordinates
        inputs = self._processor(
            text=[text], images=pictures or None, do_resize=False, input_data_format="channels_last", return_tensors="pt"
        )
        return text, Prompt(inputs, pictures)

    def _draw(self, prompt: Prompt, sampling: Sampling, num_replies: int) -> list[Drawn]:
        drawn: list[Drawn] = []
        while len(drawn) < num_replies:
            numbers = range(len(drawn), min(len(drawn) + self._at_once, num_replies))
            drawn += self._generation.draw(prompt, sampling, numbers)
        return drawn

    def _reply(self, drawn: Drawn, prompt: str) -> Reply:
        text = self._processor.tokenizer.decode(drawn.tokens, skip_special_tokens=True)
        return Reply(self.family.restored(text, prompt), drawn.complete)

    def _steps(self) -> Iterator[str]:
        self._generation.forget()
        yield "freed the cache"
        while min(self._at_once, self._num_asked) > 1:
            self._at_once = min(self._at_once, self._num_asked) // 2
            yield f"went down to {self._at_once} replies at once"
        if self._network.device.type != "cpu" and self._allow_cpu:
            self._generation.forget()
            self._network.to("cpu")
            yield "went to the CPU"


def load_chat(source: str | Path, device: str = "auto") -> LocalChat:
    """Return a chat model with its weights.

    Args:
        source: a name of `models.MODELS`, or a folder with config.json, safetensors and the files of its processor.
        device: see `devices.choose_placement`.
    Raises: WeightsMissing: which file to put where. UnknownName: the family is not known. ModelError: the files cannot be used.
        InvalidConfig: no such device.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    name = str(source)
    ref = MODELS.get(name)
    folder = locate(ref) if ref else Path(source)
    family_of(str(read_config(folder).get("model_type")))
    placement = choose_placement(device)
    processor = load_processor(AutoProcessor, folder)
    if not getattr(processor, "chat_template", None):
        raise ModelError("there is no chat template with the weights", where=str(folder), fix="add its chat_template.json")
    network = load_network(AutoModelForImageTextToText, folder, placement.dtype)
    description = f"{name} ({ref.model_id} {ref.revision or 'newest'})" if ref else name
    return LocalChat(network, processor, placement, name=description)


def _special_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Return what matches the words that a tokenizer would take for its control tokens."""
    words = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or r"(?!)")
