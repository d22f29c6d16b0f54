"""The reader: the language model of `lite` with what it learned, which comes with the package.

Not here: how it is asked (`speaker`), how it was taught (`videoseg_r1.training`); what it can do stands in the card beside its weights.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from videoseg_r1.errors import WeightsMissing
from videoseg_r1.lite.language import base_folder
from videoseg_r1.lite.learned import add_learned
from videoseg_r1.lite.speaker import TextChat
from videoseg_r1.pretrained import load_network, load_processor


def weights_path() -> Path:
    """Return the file of what was learned. Raises WeightsMissing."""
    path = Path(str(resources.files("videoseg_r1.lite") / "weights" / "reader.safetensors"))
    if not path.is_file():
        raise WeightsMissing("The weights of the reader are missing", where=str(path), fix="install the package again")
    return path


def load_reader() -> TextChat:
    """Return the reader, ready to be asked. Raises: WeightsMissing, ModelError, OutputError."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base_folder()
    network = load_network(AutoModelForCausalLM, folder)
    about = add_learned(network, weights_path())
    tokenizer = load_processor(AutoTokenizer, folder)
    return TextChat(network, tokenizer, f"SmolLM2-135M, trained ({', '.join(f'{key} {value}' for key, value in sorted(about.items()))})")
