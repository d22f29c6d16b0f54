"""The reader: the language model of `lite` with what it learned, which comes with the package.

Not here: how it is asked (`text_chat`), how it was taught (`videoseg_r1.training`); what it can do stands in the card beside its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import torch

from videoseg_r1.errors import WeightsMissing
from videoseg_r1.lite.reader.base import base_folder
from videoseg_r1.lite.reader.text_chat import TextChat
from videoseg_r1.lite.reader.weights_delta import add_learned
from videoseg_r1.models.devices import cpu_has_bfloat16
from videoseg_r1.models.pretrained import load_network, load_processor

WEIGHTS = Path(str(resources.files("videoseg_r1.lite") / "weights"))
"""Folder of the weights that ship."""
ABLATION_WEIGHTS = Path(__file__).resolve().parents[4] / "weights" / "ablations"
"""Folder of the weights of the ablations, in a clone of the repository; the wheel has none."""
LEARNED: Mapping[str, tuple[str, ...]] = {
    "smollm2": (),
    "reader-base": ("reader.safetensors",),
    "reader-sft": ("reader.safetensors", "reader-examples.safetensors"),
    "reader-silent": ("reader.safetensors", "sft-without-thinking.safetensors"),
    "reader": ("reader.safetensors", "reader-rewards.safetensors"),
}
"""By how far it was taught, the files that are added to the language model: not at all, all its weights by examples, then low-rank
changes by examples (with thinking, or by answers alone), and those gone on with by rewards."""


def learned_files(taught: str = "reader") -> list[Path]:
    """Return the files of what was learned up to a name of LEARNED, in the order in which they are added. Raises WeightsMissing."""
    paths = [weights_file(name) for name in LEARNED[taught]]
    for path in paths:
        if not path.is_file():
            fix = "install the package again" if path.parent == WEIGHTS else "take it from the repository; the wheel has only what ships"
            raise WeightsMissing("The weights of the reader are missing", where=str(path), fix=fix)
    return paths


def weights_file(name: str) -> Path:
    """Return the place of a file of weights: beside those that ship, or among those of the ablations. It may be missing there."""
    shipped = WEIGHTS / name
    return shipped if shipped.is_file() or not ABLATION_WEIGHTS.is_dir() else ABLATION_WEIGHTS / name


def load_reader() -> TextChat:
    """Return the reader, ready to be asked. Raises: WeightsMissing, ModelError, OutputError."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base_folder()
    network = load_network(AutoModelForCausalLM, folder)
    about = " and ".join(f"{told['stages']}, seed {told['seed']}" for told in [add_learned(network, path) for path in learned_files()])
    if cpu_has_bfloat16():
        network = network.to(torch.bfloat16)  # a token takes as long as reading all weights
    tokenizer = load_processor(AutoTokenizer, folder)
    return TextChat(network, tokenizer, f"SmolLM2-135M, trained ({about})")
