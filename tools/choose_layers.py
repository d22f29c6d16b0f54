"""Print which layers of SmolLM2 a scene misses least, one after the other: how `_LEFT_OUT` of lite/language.py was found.

python tools/choose_layers.py [NUM]

What is compared is the mean loss, in nats a token, on a scene of the world with a question and its reply, after one more layer is gone.
It took four minutes for eight layers on two cores.
"""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as F

from videoseg_r1.lite.reader.base import _dequantised, wheel_file
from videoseg_r1.lite.reader.text_chat import turns
from videoseg_r1.training.examples import scene_questions

SEED = 1_000_001
"""Of the scene: far beyond those that are trained on."""


def main() -> None:
    network, tokenizer = _dequantised(wheel_file())
    network.float().eval()
    layers = list(network.model.layers)
    example = scene_questions(SEED)[0]
    talk = [*turns(example.messages), {"role": "assistant", "content": example.reply}]
    ids = tokenizer.apply_chat_template(talk, return_tensors="pt", return_dict=True)["input_ids"]

    @torch.no_grad()
    def loss(kept: list[int]) -> float:
        network.model.layers = torch.nn.ModuleList(layers[at] for at in kept)
        network.config.num_hidden_layers = len(kept)
        logits = network(ids, use_cache=False).logits
        return float(F.cross_entropy(logits[0, :-1], ids[0, 1:]))

    kept = list(range(len(layers)))
    print(f"all {len(kept)} layers: {loss(kept):.3f}")
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 8):
        # without the first layer nothing is left of a sentence
        found, least = min((loss([at for at in kept if at != gone]), gone) for gone in kept[1:])
        kept.remove(least)
        print(f"without {least} as well: {found:.3f}", flush=True)


if __name__ == "__main__":
    main()
