"""Tiny SAM 2 and EdgeTAM networks with random weights: the classes of the real checkpoints, at 128 pixels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

SIDE = 128
_MAPS = [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2]


def _settings(vision: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "vision_config": vision | {"backbone_feature_sizes": _MAPS, "fpn_hidden_size": 128},
        "prompt_encoder_config": {"hidden_size": 128, "image_size": SIDE, "mask_input_channels": 4},
        "mask_decoder_config": {"hidden_size": 128, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
        "image_size": SIDE,
        "memory_attention_hidden_size": 128,
        "memory_attention_num_layers": 1,
        "memory_attention_rope_feat_sizes": _MAPS[-1],
        "memory_encoder_hidden_size": 128,
        "memory_encoder_output_channels": 64,
        "mask_downsampler_embed_dim": 128,
        "memory_fuser_embed_dim": 128,
        "memory_fuser_intermediate_dim": 32,
    } | more


def _sam2() -> Any:
    from transformers import Sam2VideoConfig, Sam2VideoModel

    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "window_size_per_stage": [4, 4, 4, 2],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [4, 4],
    }
    vision = {"model_type": "sam2_vision_model", "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8]}
    return Sam2VideoModel(Sam2VideoConfig(**_settings(vision, memory_attention_feed_forward_hidden_size=32)))


def _edgetam() -> Any:
    from transformers import EdgeTamVideoConfig, EdgeTamVideoModel

    backbone = {
        "model_type": "timm_wrapper",
        "architecture": "repvit_m1",
        "num_classes": 2,
        "model_args": {
            "in_chans": 3,
            "features_only": True,
            "out_indices": [0, 1, 2, 3],
            "embed_dim": [8, 16, 24, 32],
            "depth": [1, 1, 1, 1],
        },
    }
    vision = {"model_type": "edgetam_vision_model", "backbone_config": backbone, "backbone_channel_list": [32, 24, 16, 8]}
    perceiver = {"num_latents": 16, "num_latents_2d": 16, "hidden_size": 64, "attention_head_dim": 64, "mlp_intermediate_size": 16}
    more = {f"perceiver_resampler_{name}": value for name, value in perceiver.items()}
    return EdgeTamVideoModel(
        EdgeTamVideoConfig(**_settings(vision, memory_attention_mlp_hidden_size=32, memory_attention_rope_k_sizes=[4, 4], **more))
    )


@pytest.fixture
def no_garbage_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Freeing memory does not collect garbage: that takes a second in a process as large as this one."""
    monkeypatch.setattr("videoseg_r1.models.devices.gc.collect", lambda: None)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function: "sam2" or "edgetam" -> folder with the files of a checkpoint, the network that of a video."""
    made: dict[str, Path] = {}

    def folder_for(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            torch.manual_seed(0)
            network = {"sam2": _sam2, "edgetam": _edgetam}[name]().eval()
            with torch.no_grad():
                # as with trained weights, an object is there unless something speaks against it
                network.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(3.0)
                for parameter in network.mask_decoder.output_hypernetworks_mlps.parameters():
                    parameter.mul_(20)  # random weights of the usual size give masks that are nearly constant
            network.save_pretrained(folder)
            size = {"height": SIDE, "width": SIDE}
            picture = {"image_processor_type": "Sam2ImageProcessorFast", "size": size, "do_resize": True, "do_normalize": True}
            (folder / "preprocessor_config.json").write_text(json.dumps(picture))
            (folder / "processor_config.json").write_text(
                json.dumps({"point_pad_value": -10, "processor_class": "Sam2VideoProcessor", "target_size": SIDE})
            )
            made[name] = folder
        return made[name]

    return folder_for
