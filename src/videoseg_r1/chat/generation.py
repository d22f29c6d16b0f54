"""Replies to one prompt, drawn together from a network of transformers.

`generate` of transformers repeats a prompt for every reply and computes it as often, pictures included. Here a prompt is computed
once, at batch 1, and its state is copied to all replies; and the state after the last picture is kept, so that the next question
about the same pictures costs no more than its own words. Replies that are complete leave the batch.

With temperature 0 this gives the tokens of `generate`, up to rounding: the prompt goes through in two parts here. Not here: making
prompts and reading tokens (`local`), beams, penalties other than for repetition.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from videoseg_r1.chat.base import Sampling
from videoseg_r1.errors import ModelError
from videoseg_r1.models.pretrained import Network
from videoseg_r1.types import RgbImage


class Prompt:
    """A prompt as tensors of one row.

    Args:
        inputs: what the processor made: `input_ids`, `mm_token_type_ids` and, with pictures, `pixel_values` and `image_grid_thw`; of
            a language model that reads text only, `input_ids` alone.
        pictures: as they were fed, to recognise a prompt about the same pictures.
    """

    def __init__(self, inputs: Mapping[str, torch.Tensor], pictures: Sequence[RgbImage] = ()) -> None:
        self.ids = inputs["input_ids"]
        self.kinds = inputs.get("mm_token_type_ids", torch.zeros_like(self.ids))
        self.pictures = {name: inputs[name] for name in ("pixel_values", "image_grid_thw") if name in inputs}
        of_pictures = self.kinds[0].nonzero()
        self.num_shared = int(of_pictures[-1]) + 1 if len(of_pictures) else 0
        """Tokens up to the end of the last picture."""
        digest = hashlib.blake2b(self.ids[0, : self.num_shared].numpy().tobytes())
        for picture in pictures:
            digest.update(repr(picture.shape).encode() + picture.tobytes())
        self.shared_key = digest.digest()


@dataclass(frozen=True, slots=True)
class Drawn:
    """Tokens of a reply, without the one that ends it; `complete` says whether there was one."""

    tokens: list[int]
    complete: bool


@dataclass(eq=False)
class _Computed:
    """A computed prompt: scores of the next token (1, V), the state, and how far positions are from counts of tokens."""

    scores: torch.Tensor
    state: Any
    offset: torch.Tensor


class Generation:
    """Draws replies from a network.

    Args:
        network: of a class for `AutoModelForImageTextToText` or `AutoModelForCausalLM`, on the device on which it is to run.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        settings = network.generation_config
        ends = settings.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [ends])
        self._penalty = float(settings.repetition_penalty or 1.0)
        self._kept: tuple[bytes, Any] | None = None

    def forget(self) -> None:
        """Free the state that is cached for the last pictures."""
        self._kept = None

    @torch.inference_mode()
    def draw(self, prompt: Prompt, sampling: Sampling, numbers: Sequence[int]) -> list[Drawn]:
        """Return the replies of these numbers. What a reply says depends on the seed and its number, not on the others drawn with it.

        Raises: ModelError: the network computed numbers that are not finite.
        """
        computed = self._compute(prompt)
        batch = _Batch(computed, prompt, sampling, numbers, self._penalty)
        for step in range(sampling.max_tokens):
            batch.take(self._ends)
            if not batch.live or step + 1 == sampling.max_tokens:
                break
            at = prompt.ids.shape[1] + step + computed.offset
            batch.scores = self._forward(batch.newest(), at.expand(*at.shape[:-2], len(batch.live), 1), computed.state)
        return batch.drawn

    def _compute(self, prompt: Prompt) -> _Computed:
        positions, offset = self._positions(prompt)
        shared = prompt.num_shared
        if self._kept is None or self._kept[0] != prompt.shared_key:
            self._kept = None  # before the new one is made, so that both never take memory at once
            self._kept = prompt.shared_key, self._pictures(prompt, positions[..., :shared])
        state = copy.deepcopy(self._kept[1])
        scores = self._forward(prompt.ids[:, shared:], positions[..., shared:], state)
        return _Computed(scores, state, offset)

    def _pictures(self, prompt: Prompt, positions: torch.Tensor) -> Any:
        """Return the state after the last picture of a prompt; an empty one where there is none."""
        from transformers import DynamicCache

        state = DynamicCache(config=self._network.config.get_text_config(decoder=True))
        if prompt.num_shared:
            pictures = {name: value.to(self._network.device) for name, value in prompt.pictures.items()}
            self._forward(prompt.ids[:, : prompt.num_shared], positions, state, pictures)
        return state

    def _positions(self, prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the positions of a prompt, and what the next ones have beyond the count.

        Positions are (4, 1, L), by count, then by time, row and column in a picture, with (4, 1, 1) beyond it; for text alone (1, L) and
        (1, 1).
        """
        if not hasattr(self._network.model, "get_rope_index"):
            counts = torch.arange(prompt.ids.shape[1], device=self._network.device)[None]
            return counts, torch.zeros_like(counts[:, :1])
        grids = {name: value for name, value in prompt.pictures.items() if name == "image_grid_thw"}
        places, offset = self._network.model.get_rope_index(prompt.ids, mm_token_type_ids=prompt.kinds, **grids)
        counts = torch.arange(prompt.ids.shape[1])[None, None]
        offsets = torch.stack([torch.zeros_like(offset), *[offset] * 3])
        return torch.cat([counts, places]).to(self._network.device), offsets.to(self._network.device)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, state: Any, pictures: Mapping[str, torch.Tensor] | None = None) -> Any:
        """Return the scores of the token after these, (rows, V) float32; the state goes on."""
        out = self._network(
            input_ids=ids.to(self._network.device),
            position_ids=positions,
            cache=state,
            use_cache=True,
            logits_to_keep=1,
            **(pictures or {}),
        )
        return out.logits[:, -1].float()


class _Batch:
    """The replies that are being drawn: `live` are the rows, by their place in `drawn`, that have not ended."""

    def __init__(self, computed: _Computed, prompt: Prompt, sampling: Sampling, numbers: Sequence[int], penalty: float) -> None:
        device = computed.scores.device
        self.live = list(range(len(numbers)))
        self.drawn = [Drawn([], complete=False) for _ in numbers]
        self.scores = computed.scores.expand(len(numbers), -1)
        self._sampling, self._penalty, self._state = sampling, penalty, computed.state
        self._chance = [np.random.default_rng((sampling.seed, number)) for number in numbers]
        self._seen = torch.zeros_like(self.scores, dtype=torch.bool)
        self._seen[:, prompt.ids[0].to(device)] = True
        self._state.reorder_cache(torch.zeros(len(numbers), dtype=torch.long, device=device))

    def take(self, ends: frozenset[int]) -> None:
        """Choose the next token of every live reply; those that end leave."""
        chosen = self._choose()
        going: list[int] = []
        for at, (row, token) in enumerate(zip(self.live, chosen.tolist(), strict=True)):
            if token in ends:
                self.drawn[row] = Drawn(self.drawn[row].tokens, complete=True)
            else:
                self.drawn[row].tokens.append(token)
                going.append(at)
        self._seen.scatter_(1, chosen[:, None], value=True)
        if 0 < len(going) < len(self.live):
            index = torch.tensor(going, device=chosen.device)
            self._state.reorder_cache(index)
            self._seen = self._seen[index]
        self.live = [self.live[at] for at in going]

    def newest(self) -> torch.Tensor:
        """Return the last token of every live reply, (rows, 1)."""
        return torch.tensor([[self.drawn[row].tokens[-1]] for row in self.live])

    def _choose(self) -> torch.Tensor:
        scores = self.scores
        if not bool(scores.isfinite().all()):
            raise ModelError(
                "the language model computed numbers that are not finite",
                where=f"its scores, on {scores.device}",
                fix="run `videoseg models verify`: the weights may be damaged",
            )
        if self._penalty != 1:
            scores = torch.where(self._seen, torch.where(scores < 0, scores * self._penalty, scores / self._penalty), scores)
        if self._sampling.temperature == 0:
            return scores.argmax(-1)
        chances = [self._chance[row].random() for row in self.live]
        return pick(scores / self._sampling.temperature, self._sampling.top_p, torch.tensor(chances, device=scores.device))


def pick(scores: torch.Tensor, top_p: float, chances: torch.Tensor) -> torch.Tensor:
    """Return one token per row, drawn from the likeliest ones that together have the probability top_p.

    Args:
        scores: (rows, V), logarithms of probabilities up to a constant.
        top_p: in (0, 1]; the likeliest token is always among them.
        chances: (rows,) in [0, 1), uniform.
    Returns: (rows,) int64.
    """
    shares, order = scores.softmax(-1).sort(descending=True, stable=True)
    shares = shares * (shares.cumsum(-1) - shares < top_p)
    upper = shares.cumsum(-1)
    at = torch.searchsorted(upper, (chances[:, None] * upper[:, -1:]).to(upper), right=True)
    last = (shares > 0).sum(-1, keepdim=True) - 1
    return order.gather(-1, torch.minimum(at, last))[:, 0]
