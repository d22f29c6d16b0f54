"""What training is tested on: a tiny Llama as a folder, clips in the layout of Ref-YouTube-VOS, and recipes for both that take seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.tiny_vlm import make_checkpoint
from videoseg_r1.masks.labels import write_label_png
from videoseg_r1.training.recipe import Recipe, load_recipe

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_llama(folder: Path) -> Path:
    """Write a Llama with random weights, always the same ones, and a tokenizer trained on our prompts; return its folder."""
    from transformers import AutoProcessor, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoProcessor.from_pretrained(make_checkpoint(folder / "made", "qwen2_5_vl")).tokenizer
    tokenizer.chat_template = _TEMPLATE
    tokenizer.eos_token = "<|im_end|>"
    torch.manual_seed(0)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            initializer_range=0.2,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    network.save_pretrained(folder / "llama")
    tokenizer.save_pretrained(folder / "llama")
    return folder / "llama"


def draw_clips(root: Path, num_clips: int = 2, num_frames: int = 3) -> Path:
    """Write clips of 64 x 48 in which a box moves, one expression each; return the folder."""
    videos: dict[str, object] = {}
    for number in range(num_clips):
        name = f"clip{number}"
        names = [f"{5 * frame:05d}" for frame in range(num_frames)]
        videos[name] = {"frames": names, "expressions": {"0": {"exp": "the box that moves", "obj_id": "1"}}}
        for frame, file in enumerate(names):
            labels = np.zeros((48, 64), np.uint8)
            labels[10 + number : 30, 8 + 6 * frame : 28 + 6 * frame] = 1
            picture = np.full((48, 64, 3), 90, np.uint8)
            picture[labels > 0] = (200, 60, 40)
            for folder in ("JPEGImages", "Annotations"):
                (root / "train" / folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / "train" / "JPEGImages" / name / f"{file}.jpg")
            write_label_png(root / "train" / "Annotations" / name / f"{file}.png", labels)
    meta = root / "meta_expressions" / "train"
    meta.mkdir(parents=True)
    (meta / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    return root


def text_recipe(folder: Path, *changes: str) -> Recipe:
    """The recipe `smoke` on the model in a folder."""
    return load_recipe("smoke", [f"model.source={folder}", *changes])


def picture_recipe(folder: Path, root: Path, *changes: str) -> Recipe:
    """The recipe `smoke` on the vision-language model in a folder, and the clips in `root`."""
    return text_recipe(folder, "data.source=ref_youtube_vos", f"data.root={root}", *changes)
