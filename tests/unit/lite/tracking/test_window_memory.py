"""Remembered frames: which are read, and that a window goes along with what is fast."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.lite.tracking.appearance import AppearanceSample
from videoseg_r1.lite.tracking.crop import Crop
from videoseg_r1.lite.tracking.window_memory import RememberedFrame, WindowMemory

_CROP = Crop(0, 0, 192, 64, 192, 64)  # 8 rows and 24 columns of cells, of 8 pixels of the frame each
_THING, _GROUND = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])


def _keys(column: int) -> torch.Tensor:
    keys = _GROUND[:, None, None].expand(2, 8, 24).clone()
    keys[:, 3:5, column : column + 2] = _THING[:, None, None]
    return keys


def _frame(column: int, scene: int = 0, known: bool = True) -> RememberedFrame:
    cover = torch.zeros(1, 8, 24)
    cover[0, 3:5, column : column + 2] = 1
    sample = AppearanceSample(torch.zeros(1, 2), torch.zeros(2, 1), torch.tensor([known]), torch.ones(1))
    return RememberedFrame(scene, _CROP, F.normalize(_keys(column), dim=0), cover, sample, None, np.array([8.0 * column + 8, 32.0]))


def _memory(*frames: RememberedFrame) -> WindowMemory:
    memory = WindowMemory(max_recent=2, reach=24, top_k=4, temperature=0.05)
    for index, frame in enumerate(frames):
        memory.add(frame, is_given=index == 0)
    return memory


def _found(memory: WindowMemory, column: int, goes_to: np.ndarray | None = None) -> float:
    """Mean of what is read where the thing is."""
    read = memory.read(_keys(column), _CROP, 0, torch.tensor([True]), goes_to)
    assert read is not None
    assert read.shape == (1, 8, 24)
    return float(read[0, 3:5, column : column + 2].mean())


def test_what_moved_less_than_the_reach_is_found():
    assert _found(_memory(_frame(4)), 6) > 0.9


def test_what_moved_farther_is_found_only_where_its_window_goes_along():
    assert _found(_memory(_frame(4)), 16) < 0.1
    assert _found(_memory(_frame(4)), 16, np.array([8.0 * 16 + 8, 32.0])) > 0.9


def test_windows_are_cut_once_for_a_crop_and_a_motion():
    frame = _frame(4)
    first = frame.windows(_CROP, (3, 3), None)
    assert frame.windows(_CROP, (3, 3), None) is first
    assert frame.windows(_CROP, (3, 3), np.array([100.0, 32.0])) is not first
    assert frame.windows(Crop(8, 0, 192, 64, 192, 64), (3, 3), None) is not first


def test_other_scenes_and_frames_in_which_an_object_was_not_known_are_not_read():
    keys, known = _keys(4), torch.tensor([True])
    assert _memory(_frame(4, scene=1)).read(keys, _CROP, 0, known, None) is None
    assert _memory(_frame(4, known=False)).read(keys, _CROP, 0, known, None) is None


def test_only_the_latest_frames_stay_beside_those_with_given_masks():
    memory = _memory(*(_frame(column) for column in (1, 2, 3, 4)))
    assert len(memory.given) == 1
    assert len(memory.recent) == 2
    assert memory.recent[-1].centre is not None
    assert memory.recent[-1].centre[0] == 40
    memory.forget_recent()
    assert memory.recent == ()
