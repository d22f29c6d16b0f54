"""A cut between scenes of equal colours, from its detection to the masks: nothing goes on over something else."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.scenes import scene
from helpers.shapes import square
from videoseg_r1.stages.propagation.flow import flow_propagator
from videoseg_r1.video import open_video

_CUT, _LENGTH, _SIZE = 8, 16, (128, 72)


@pytest.mark.parametrize("given", [0, _LENGTH - 1])
def test_a_mask_ends_at_a_cut_whichever_way_it_is_carried(given):
    film = np.stack([scene(1, _SIZE)] * _CUT + [scene(2, _SIZE)] * (_LENGTH - _CUT))
    with open_video(film) as video:
        found = {one.index: one for one in flow_propagator().run(video, {given: square(_SIZE, 40, 20, 24)[None]})}
    here = range(_CUT) if given < _CUT else range(_CUT, _LENGTH)
    for index in range(_LENGTH):
        assert bool(found[index].masks.any()) is (index in here), index
        assert (found[index].confidence[0] > 0.5) is (index in here), index
    events = sorted((event.frame_index, event.kind, event.detail) for one in found.values() for event in one.events)
    assert [(index, kind) for index, kind, _ in events if kind == "cut"] == [(_CUT, "cut")]
    assert [(index, detail) for index, kind, detail in events if kind == "lost"] == [(_CUT if given < _CUT else _CUT - 1, "after a cut")]
