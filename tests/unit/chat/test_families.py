"""What distinguishes the families of chat models: sizes of pictures, coordinates, thinking prefix."""

from __future__ import annotations

import numpy as np
import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from videoseg_r1.chat.families import FAMILIES, Family, family_of
from videoseg_r1.errors import UnknownName
from videoseg_r1.prompts import example_answer, format_reply, parse_reply
from videoseg_r1.types import Box, Cue, Point, Reasoning

ALL = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
WIDE = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)


@ALL
def test_transformers_knows_the_family_and_its_grid(family: Family):
    assert family.name in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    vision = CONFIG_MAPPING[family.name]().vision_config
    assert family.grid == vision.patch_size * vision.spatial_merge_size


@ALL
@pytest.mark.parametrize("shape", [(720, 1280, 3), (1280, 720, 3), (40, 60, 3), (1, 1, 3), (2000, 3, 3)])
def test_a_target_is_a_square_and_context_keeps_its_shape(family: Family, shape):
    rgb = np.zeros(shape, np.uint8)
    side = 840 if family.grid == 28 else 832
    assert family.fed(rgb, "target").shape == (side, side, 3)
    height, width, _ = family.fed(rgb, "context").shape
    assert height % family.grid == width % family.grid == 0
    assert max(height, width) <= 448
    scale = min(1.0, 448 / max(shape))
    assert abs(height - shape[0] * scale) <= family.grid
    assert abs(width - shape[1] * scale) <= family.grid


@ALL
def test_small_context_is_not_enlarged_and_a_fitting_picture_is_handed_on(family: Family):
    rgb = np.full((2 * family.grid, 3 * family.grid, 3), 7, np.uint8)
    assert family.fed(rgb, "context") is rgb
    fed = family.fed(np.full((100, 100, 3), (10, 20, 30), np.uint8), "target")
    assert (fed == (10, 20, 30)).all()
    assert fed.dtype == np.uint8


@ALL
def test_the_same_object_comes_back_from_the_coordinates_of_every_family(family: Family):
    truth = Cue(Box(211.0, 93.0, 640.0, 501.0), (Point(420.0, 300.0),), (Point(660.0, 300.0),))
    fed = family.fed(WIDE, "target")
    grid = family.coord_size((fed.shape[1], fed.shape[0]))
    reply = format_reply("it is there", [truth], (1280, 720), coord_size=grid)
    found = parse_reply(reply, frame_size=(1280, 720), coord_size=grid)
    assert isinstance(found, Reasoning)
    (cue,) = found.cues
    for name in ("x1", "y1", "x2", "y2"):
        assert abs(getattr(cue.box, name) - getattr(truth.box, name)) <= 1
    assert abs(cue.points[0].x - 420) <= 1
    assert abs(cue.neg_points[0].x - 660) <= 1


def test_conventions_differ_and_are_said():
    pixels, thousandths = family_of("qwen2_5_vl"), family_of("qwen3_vl")
    assert pixels.coord_size((840, 840)) == (840, 840)
    assert thousandths.coord_size((832, 832)) == (1000, 1000)
    assert "840 wide and 840 high" in pixels.convention((840, 840))
    assert "1000" in thousandths.convention((832, 832))
    assert example_answer(pixels.coord_size((840, 840))) != example_answer(thousandths.coord_size((832, 832)))


@ALL
def test_the_thinking_tag_is_restored_only_where_the_prompt_ended_with_it(family: Family):
    assert family.restored("so</think><answer>[]</answer>", "<|im_start|>assistant\n<think>\n").startswith("<think>\nso</think>")
    assert family.restored("so", "<|im_start|>assistant\n<think>\n\n</think>\n\n") == "so"
    assert family.restored("so") == "so"


def test_an_unknown_family_is_refused_with_a_hint():
    with pytest.raises(UnknownName, match="did you mean qwen2_5_vl") as caught:
        family_of("qwen25_vl")
    assert "qwen3_5_moe" in caught.value.fix
