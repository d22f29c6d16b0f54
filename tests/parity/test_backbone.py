"""Our EfficientNet-Lite2 against timm's, which somebody else wrote, on the same weights."""

from __future__ import annotations

import re

import numpy as np
import torch

from helpers.lite_things import CPU
from videoseg_r1.lite.perception.backbone import Backbone, backbone_weights, load_backbone, prepare

_BLOCKS = (1, 3, 3, 4, 4, 5, 1)


def _timm_name(key):
    place = {sum(_BLOCKS[:s]) + i: (s, i) for s in range(7) for i in range(_BLOCKS[s])}
    block = re.fullmatch(r"_blocks\.(\d+)\.(_\w+?)(\..+)", key)
    if block is None:
        for old, new in (("_conv_stem", "conv_stem"), ("_bn0", "bn1"), ("_conv_head", "conv_head"), ("_bn1", "bn2"), ("_fc", "classifier")):
            key = re.sub(f"^{old}", new, key)
        return key
    stage, index = place[int(block[1])]
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    later = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    return f"blocks.{stage}.{index}.{(later if stage else first)[block[2]]}{block[3]}"


def test_logits_equal_those_of_timm():
    import timm

    state = torch.load(backbone_weights(), map_location="cpu", weights_only=True)
    reference = timm.create_model("tf_efficientnet_lite2", pretrained=False).eval()
    reference.load_state_dict({_timm_name(key): value for key, value in state.items()})
    image = np.random.default_rng(0).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    x = prepare(image, (160, 96), CPU)
    backbone = Backbone(state, CPU)
    ours = backbone.class_logits(backbone.features(x)[-1]).mean((2, 3))
    with torch.no_grad():
        torch.testing.assert_close(ours, reference(x), atol=1e-4, rtol=1e-4)


def test_strides_and_channels():
    maps = load_backbone(CPU).features(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (16, 32, 48),
        (24, 16, 24),
        (48, 8, 12),
        (88, 4, 6),
        (120, 4, 6),
        (208, 2, 3),
        (352, 2, 3),
    ]
