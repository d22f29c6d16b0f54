"""The network that is trained, with its tokenizer or processor: loaded from a folder, the vision tower frozen, LoRA where asked for.

Not here: where weights are published (`models.weights`), a network that only answers (`chat.local`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from videoseg_r1.chat.families import FAMILIES, Family
from videoseg_r1.lite.reader.base import base_folder
from videoseg_r1.lite.reader.trained import DELTA_FILES, delta_files
from videoseg_r1.lite.reader.weights_delta import apply_delta
from videoseg_r1.models.devices import cpu_has_bfloat16
from videoseg_r1.models.pretrained import Network, load_network, load_processor, read_config
from videoseg_r1.models.weights import MODELS, locate
from videoseg_r1.training.recipe import Model, Recipe, StageName
from videoseg_r1.training.shared_prefix.branches import BRANCH_ATTENTION

ADAPTER = "adapter_config.json"
LANGUAGE_LAYERS = r"(?:base_model\.model\.)?model\.(?:language_model\.)?layers\.\d+\.(?:self_attn|mlp|linear_attn)\.\w*proj\w*"
"""Linear layers of the language model in every family here, and of Llama; nothing of the vision tower is called so."""


@dataclass(frozen=True, eq=False)
class Learner:
    """What a trainer needs: the network, a tokenizer or processor, and the family; None is a model that reads text alone."""

    network: Network
    processor: Any
    family: Family | None

    @property
    def tokenizer(self) -> Any:
        return getattr(self.processor, "tokenizer", self.processor)


def source_folder(model: Model) -> Path:
    """Return the folder of the weights that a recipe starts from. Raises WeightsMissing, ModelError."""
    if model.source in DELTA_FILES:
        return base_folder()
    return locate(MODELS[model.source]) if model.source in MODELS else Path(model.source)


def is_bfloat16(recipe: Recipe) -> bool:
    """Return whether a recipe is computed in bfloat16 here: it asks for it, and this processor does not merely emulate it, slowly."""
    return recipe.run.precision == "bf16" and (torch.cuda.is_available() or cpu_has_bfloat16())


def load_source(model: Model, dtype: torch.dtype = torch.float32) -> Network:
    """Return the network that a recipe starts from. Raises WeightsMissing, ModelError."""
    folder = source_folder(model)
    deltas = delta_files(model.source) if model.source in DELTA_FILES else []
    network = load_network(_classes(_family(folder))[0], folder, torch.float32 if deltas else dtype)
    for path in deltas:
        apply_delta(network, path)
    return network.to(dtype)  # small changes of weights in bfloat16 would be lost in their rounding


def load_learner(recipe: Recipe, starts: Sequence[Path] = (), stage: StageName | None = None, *, compact: bool = False) -> Learner:
    """Return the network of a recipe as earlier stages left it, on the CPU.

    Args:
        starts: folders of what they made, weights or adapters; without any, it is the recipe's source.
        stage: the one that it is to be trained by; None is to ask it.
        compact: hold all weights in bfloat16, for engines that keep float32 copies of them (DeepSpeed).
    Raises: WeightsMissing, ModelError: the files are missing or cannot be used.
    """
    adapter = starts[-1] if starts and (starts[-1] / ADAPTER).is_file() else None
    whole = [folder for folder in starts if not (folder / ADAPTER).is_file()]
    is_lora = stage is not None and recipe.stage(stage).method == "lora"
    # what stays as it is needs no more, and DeepSpeed keeps float32 copies of what is trained
    dtype = torch.bfloat16 if is_bfloat16(recipe) and (compact or is_lora) else torch.float32
    folder = whole[-1] if whole else source_folder(recipe.model)
    family = _family(folder)
    network = load_network(_classes(family)[0], folder, dtype) if whole else load_source(recipe.model, dtype)
    network.set_attn_implementation(recipe.model.attention if family else BRANCH_ATTENTION)
    frozen = network.model.visual if family else network.get_input_embeddings()
    processor = load_processor(_classes(family)[1], folder)
    if family:
        processor.image_processor.do_resize = False  # pictures come at the size at which they are fed
    if adapter or is_lora:
        network = _with_lora(network, recipe, adapter)
    if adapter and not is_lora:
        network = network.merge_and_unload().requires_grad_(True)
    frozen.requires_grad_(False)
    return Learner(network, processor, family)


def _family(folder: Path) -> Family | None:
    return FAMILIES.get(str(read_config(folder).get("model_type")))


def _classes(family: Family | None) -> tuple[Any, Any]:
    import transformers

    if family:
        return transformers.AutoModelForImageTextToText, transformers.AutoProcessor
    return transformers.AutoModelForCausalLM, transformers.AutoTokenizer


def _with_lora(network: Network, recipe: Recipe, adapter: Path | None) -> Network:
    from peft import LoraConfig, PeftModel, get_peft_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    model = recipe.model
    if adapter:
        network = PeftModel.from_pretrained(network, adapter, is_trainable=True)
    else:
        config = LoraConfig(
            r=model.rank, lora_alpha=model.alpha, lora_dropout=model.dropout, target_modules=LANGUAGE_LAYERS, task_type="CAUSAL_LM"
        )
        network = get_peft_model(network, config)
    if is_bfloat16(recipe):
        # autocast computes in bfloat16 anyway; peft would bring every input to float32 on the way there, a fifth of the time on a CPU
        for layer in network.modules():
            if isinstance(layer, BaseTunerLayer):
                vars(layer)["cast_input_dtype_enabled"] = False
    return network
