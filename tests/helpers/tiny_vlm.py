"""Tiny vision-language models with random weights, as folders: the classes and the layout of the real checkpoints.

The tokenizer is a byte-level BPE trained on our prompts, with the families' control tokens. The chat templates are ours, in the
format of the families'; for messages as this project writes them they give the text of the true ones (compared once by hand with
the templates in TRL 1.16.0).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from videoseg_r1.prompts import INTERVAL_VOTE, POSITION_VOTE, REASONING

MODEL_TYPES = ("qwen2_5_vl", "qwen3_vl", "qwen3_5")

_CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_PLAIN = ("<think>", "</think>")
_VOCAB = 640

_TURNS = """{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}\
{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
"""
_TEMPLATES = {
    "qwen2_5_vl": _TURNS + "{% endif %}",
    "qwen3_vl": _TURNS + "{% endif %}",
    "qwen3_5": _TURNS + "<think>\n{% if enable_thinking is false %}{{ '\n</think>\n\n' }}{% endif %}{% endif %}",
}


def make_checkpoint(
    folder: Path, model_type: str, *, hidden: int = 32, layers: int = 2, template: str | None = None, repetition_penalty: float = 1.0
) -> Path:
    """Write a checkpoint with random weights, always the same ones; return its folder.

    Args:
        folder: is made.
        model_type: one of `MODEL_TYPES`.
        hidden, layers: width and depth of the language model.
        template: chat template; None for the family's.
        repetition_penalty: as real generation_config.json have it.
    """
    import transformers

    processor = _processor(model_type, template or _TEMPLATES[model_type])
    processor.save_pretrained(folder)
    tokens = processor.tokenizer
    special = {
        f"{name}_token_id": tokens.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start"), ("vision_end", "vision_end"))
    }
    prefix = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL", "qwen3_5": "Qwen3_5"}[model_type]
    config = getattr(transformers, f"{prefix}Config")(
        text_config=_text(model_type, len(tokens), hidden, layers),
        vision_config=_vision(model_type, hidden),
        tie_word_embeddings=False,
        **special,
    )
    torch.manual_seed(0)
    network: Any = getattr(transformers, f"{prefix}ForConditionalGeneration")(config).eval()
    with torch.no_grad():
        network.lm_head.weight.mul_(20)  # random weights of the usual size make all tokens about equally likely
        network.lm_head.weight[tokens.convert_tokens_to_ids(list(_CONTROL))] = 0  # it goes on talking
    network.generation_config = transformers.GenerationConfig(
        eos_token_id=[tokens.convert_tokens_to_ids("<|im_end|>"), tokens.convert_tokens_to_ids("<|endoftext|>")],
        pad_token_id=tokens.convert_tokens_to_ids("<|endoftext|>"),
        repetition_penalty=repetition_penalty,
        do_sample=True,
        temperature=0.1,
    )
    network.save_pretrained(folder)
    return folder


def _text(model_type: str, vocab: int, hidden: int, layers: int) -> dict[str, Any]:
    heads = 4
    half = hidden // heads // 2
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [half - 2 * (half // 4), half // 4, half // 4]}
    more: dict[str, Any] = {}
    if model_type == "qwen3_5":
        more = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
        more["layer_types"] = ["linear_attention", "full_attention"] * (layers // 2)
        rope |= {"partial_rotary_factor": 1.0}
    return {
        "vocab_size": vocab,
        "hidden_size": hidden,
        "head_dim": hidden // heads,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 2,
        "rope_parameters": rope,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": None,
        **more,
    }


def _vision(model_type: str, hidden: int) -> dict[str, Any]:
    common = {"hidden_size": 32, "num_heads": 2, "intermediate_size": 64, "out_hidden_size": hidden, "depth": 2, "initializer_range": 0.2}
    if model_type == "qwen2_5_vl":
        return common | {"fullatt_block_indexes": [1]}
    return common | {"num_position_embeddings": 64} | ({"deepstack_visual_indexes": [0, 1]} if model_type == "qwen3_vl" else {})


def _processor(model_type: str, template: str) -> Any:
    import transformers

    grid = {} if model_type == "qwen2_5_vl" else {"patch_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    parts: dict[str, Any] = {"image_processor": transformers.Qwen2VLImageProcessor(**grid), "tokenizer": _tokenizer()}
    if model_type == "qwen2_5_vl":
        parts["video_processor"] = transformers.Qwen2VLVideoProcessor()
        return transformers.Qwen2_5_VLProcessor(**parts, chat_template=template)
    parts["video_processor"] = transformers.Qwen3VLVideoProcessor()
    return transformers.Qwen3VLProcessor(**parts, chat_template=template)


def _tokenizer() -> Any:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    texts = [text for prompt in (INTERVAL_VOTE, POSITION_VOTE, REASONING) for text in (prompt.system, prompt.user)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=_VOCAB, initial_alphabet=alphabet, show_progress=False))
    bpe = json.loads(trained.to_str())["model"]
    tokenizer = Qwen2Tokenizer(vocab=bpe["vocab"], merges=[tuple(pair) for pair in bpe["merges"]], pad_token="<|endoftext|>")
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in _CONTROL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in _PLAIN])
    return tokenizer
