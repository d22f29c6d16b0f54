"""The trained reader of `lite`: SmolLM2 with what it learned on the drawn world, a chat model for stages 1 and 2.

What it learned comes with the package, its training is `videoseg train lite --reproduce`; its card is docs/lite-reader.md.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

import torch

from videoseg_r1.lite.language import base_folder
from videoseg_r1.lite.learned import add_learned
from videoseg_r1.lite.speaker import TextChat
from videoseg_r1.pretrained import load_network, load_processor


def learned_path() -> Path:
    """Return the file of what was learned, which comes with the package."""
    return Path(str(resources.files("videoseg_r1.lite") / "weights" / "reader.safetensors"))


@lru_cache(maxsize=1)
def load_reader() -> TextChat:
    """Return the reader, loaded once.

    Raises: WeightsMissing: the language model is not installed, or the package is not whole. ModelError: a file is damaged.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base_folder()
    network = load_network(AutoModelForCausalLM, folder, torch.float32)
    add_learned(network, learned_path())
    network.set_attn_implementation("eager")  # "sdpa" is slower at one token a time
    return TextChat(network.to(_precision()), load_processor(AutoTokenizer, folder), "smollm2-135m-instruct, trained on drawn scenes")


def _precision() -> torch.dtype:
    """Return bfloat16, in which it was trained, where the processor computes in it; elsewhere that would be the slower way."""
    quick = torch.cpu._is_avx512_bf16_supported()  # pyright: ignore[reportPrivateUsage] - torch has no public way to ask
    return torch.bfloat16 if quick else torch.float32
