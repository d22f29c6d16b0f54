"""The trained reader: the language model of `lite` with the weights deltas that come with the package.

Not here: how it is asked (`text_chat`), how it was trained (`videoseg_r1.training`), and what it scores (`reader.md` beside its weights).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import torch

from videoseg_r1.errors import WeightsMissing
from videoseg_r1.lite.reader.base import base_folder
from videoseg_r1.lite.reader.text_chat import TextChat
from videoseg_r1.lite.reader.weights_delta import apply_delta
from videoseg_r1.models.devices import Placement, cpu_has_bfloat16
from videoseg_r1.models.pretrained import load_network, load_processor

WEIGHTS = Path(str(resources.files("videoseg_r1.lite") / "weights"))
"""Folder of the weights that ship."""
ABLATION_WEIGHTS = Path(__file__).resolve().parents[4] / "weights" / "ablations"
"""Folder of the weights of the ablations, in a clone of the repository; the wheel has none."""
DELTA_FILES: Mapping[str, tuple[str, ...]] = {
    "smollm2": (),
    "reader-base": ("reader.safetensors",),
    "reader-sft": ("reader.safetensors", "reader-examples.safetensors"),
    "reader-silent": ("reader.safetensors", "sft-without-thinking.safetensors"),
    "reader": ("reader.safetensors", "reader-rewards.safetensors"),
}
"""The weights deltas that are added to the language model, in their order, by the name that a recipe gives as `model.source`.

"smollm2" is untrained; "reader-base" had all its weights trained by examples; "reader-sft" and "reader-silent" were then trained by
low-rank changes on examples, with reasoning text and with answers alone; "reader", which ships, went on from "reader-sft" by rewards.
"""


def delta_files(source: str = "reader") -> list[Path]:
    """Return the files of the weights deltas of a source, in the order in which they are added.

    Args:
        source: a name of DELTA_FILES.
    Raises: WeightsMissing: a file is not there.
    """
    paths = [weights_file(name) for name in DELTA_FILES[source]]
    for path in paths:
        if not path.is_file():
            fix = "install the package again" if path.parent == WEIGHTS else "take it from the repository; the wheel has only what ships"
            raise WeightsMissing("The weights of the reader are missing", where=str(path), fix=fix)
    return paths


def weights_file(name: str) -> Path:
    """Return the path of a weights delta: beside those that ship, or else among those of the ablations, where it may be missing."""
    shipped = WEIGHTS / name
    return shipped if shipped.is_file() or not ABLATION_WEIGHTS.is_dir() else ABLATION_WEIGHTS / name


def load_reader(placement: Placement) -> TextChat:
    """Return the reader, ready to be asked, on a device; it has not been run on a GPU.

    On a CPU it computes in bfloat16 where the processor does, and in float32 elsewhere, whatever the placement says.

    Raises: WeightsMissing, ModelError, OutputError.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base_folder()
    network = load_network(AutoModelForCausalLM, folder)
    about = " and ".join(f"{told['stages']}, seed {told['seed']}" for told in [apply_delta(network, path) for path in delta_files()])
    dtype = placement.dtype
    if placement.device.type == "cpu" and cpu_has_bfloat16():
        dtype = torch.bfloat16  # a token takes as long as reading all weights
    tokenizer = load_processor(AutoTokenizer, folder)
    return TextChat(network.to(placement.device, dtype), tokenizer, f"SmolLM2-135M, trained ({about})")
