"""Pictures of 1 to 15 pixels a side: every propagator carries masks through them, every segmenter finds masks in them, every format holds
them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from helpers.tiny_xmem import SMALL
from videoseg_r1.lite.segmenter import LiteSegmenter
from videoseg_r1.lite.tracking.propagator import lite_propagator
from videoseg_r1.models.sam2 import load_engine
from videoseg_r1.output.save import EXPORTS
from videoseg_r1.pipeline.segmenter import Stages, VideoSegmenter
from videoseg_r1.stages.propagation.flow import flow_propagator
from videoseg_r1.stages.propagation.sam2 import sam2_propagator
from videoseg_r1.stages.propagation.xmem import XMemEngine, xmem_propagator
from videoseg_r1.stages.protocols import Propagator
from videoseg_r1.stages.segmentation.sam2 import Sam2Segmenter
from videoseg_r1.types import Box, Cue, Frame, Point
from videoseg_r1.video import open_video

SIZES = [(1, 1), (1, 15), (15, 1), (3, 7), (15, 15), (320, 8), (8, 64)]
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("no_garbage_collection")


@pytest.fixture(params=["memory", "flow", "xmem", "sam2", "edgetam"])
def propagator(request: pytest.FixtureRequest) -> Propagator:
    """Each propagator, with its own weights or with tiny ones."""
    made: dict[str, Callable[[], Propagator]] = {
        "memory": lambda: lite_propagator(CPU),
        "flow": flow_propagator,
        "xmem": lambda: xmem_propagator(XMemEngine(dict(request.getfixturevalue("xmem_state"))), SMALL),
        "sam2": lambda: sam2_propagator(load_engine(request.getfixturevalue("tiny_weights")("sam2"), "video", "cpu")),
        "edgetam": lambda: sam2_propagator(load_engine(request.getfixturevalue("tiny_weights")("edgetam"), "video", "cpu")),
    }
    return made[request.param]()


def _frames(width: int, height: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, height, width, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_are_carried_through_pictures_of_any_size(propagator: Propagator, size: tuple[int, int]) -> None:
    width, height = size
    seed = np.zeros((1, height, width), bool)
    seed[0, : (height + 1) // 2, : (width + 1) // 2] = True
    with open_video(_frames(width, height)) as video:
        found = {one.index: one for one in propagator.run(video, {1: seed})}
    assert sorted(found) == [0, 1, 2]
    assert (found[1].masks == seed).all()
    assert all(one.masks.shape == (1, height, width) and one.masks.dtype == bool for one in found.values())


def _cues(width: int, height: int) -> list[Cue]:
    box = Box(0, 0, (width + 1) // 2, (height + 1) // 2)
    return [Cue(box), Cue(box, (Point(0, 0),), (Point(width - 1, height - 1),)), Cue(None, (Point(0, 0),))]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sam2_finds_masks_in_pictures_of_any_size(tiny_weights, size: tuple[int, int]) -> None:
    width, height = size
    segmenter = Sam2Segmenter(load_engine(tiny_weights("sam2"), "image", "cpu"))
    masks = segmenter.segment(Frame(0, 0.0, _frames(width, height)[0]), _cues(width, height))
    assert (masks.shape, masks.dtype) == ((3, height, width), bool)


@pytest.mark.parametrize(("size", "which"), [((1, 1), 2), ((1, 15), 0), ((320, 8), 1)], ids=str)
def test_lite_finds_masks_in_pictures_of_any_size(size: tuple[int, int], which: int) -> None:
    width, height = size
    masks = LiteSegmenter(CPU).segment(Frame(0, 0.0, _frames(width, height)[0]), [_cues(width, height)[which]])
    assert (masks.shape, masks.dtype) == ((1, height, width), bool)
    assert masks.any()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_results_of_any_size_can_be_written_in_every_format(size: tuple[int, int], tmp_path) -> None:
    width, height = size
    labels = np.full((height, width), 3, np.uint8)
    result = VideoSegmenter(Stages(None, None, None, flow_propagator), "tiny").propagate(_frames(width, height), {0: labels})
    assert sorted(result.save(tmp_path / "out", list(EXPORTS))) == sorted(EXPORTS)
    assert [track.object_id for track in result.tracks] == [3]


def test_a_still_that_is_too_small_for_optical_flow_keeps_its_mask() -> None:
    frames, seed = np.repeat(_frames(9, 5, 1), 4, axis=0), np.zeros((1, 5, 9), bool)
    seed[0, 1:4, 2:6] = True
    with open_video(frames) as video:
        assert all((one.masks == seed).all() for one in flow_propagator().run(video, {0: seed}))
