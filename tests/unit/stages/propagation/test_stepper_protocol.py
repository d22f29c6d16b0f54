"""What every stepper owes to the runs through time: objects that come late, corrections of some, absence, and labels that stay apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch

from helpers.discs import GREEN, RED, Disc, scene
from helpers.tiny_xmem import SMALL
from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.lite.tracking.tracker import Tracker
from videoseg_r1.models.sam2 import load_engine
from videoseg_r1.stages.propagation.both_ways import Stepper, Tracked
from videoseg_r1.stages.propagation.flow import FlowStepper
from videoseg_r1.stages.propagation.recognition import Search
from videoseg_r1.stages.propagation.sam2 import Sam2Stepper
from videoseg_r1.stages.propagation.xmem import XMemEngine, XMemStepper
from videoseg_r1.types import BoolMask, Given

pytestmark = pytest.mark.usefixtures("no_garbage_collection")

FRAMES, TRUTH = scene(1, [Disc(RED, 16, 14, 0), Disc(GREEN, 44, 32, 1, speed=-1)], 5, num_objects=2)
NewStepper = Callable[[], Stepper]
Give = Mapping[int, tuple[BoolMask | None, ...]]
"""Frame -> the mask of each object, None of those of which nothing is given."""


@pytest.fixture(params=["memory", "flow", "xmem", "sam2", "edgetam"])
def new_stepper(request: pytest.FixtureRequest) -> NewStepper:
    """Makes steppers of each kind, with their own weights or with tiny ones."""
    kind = request.param
    if kind == "memory":
        return lambda: Tracker(torch.device("cpu"))
    if kind == "flow":
        return FlowStepper
    if kind == "xmem":
        engine = XMemEngine(dict(request.getfixturevalue("xmem_state")))
        return lambda: XMemStepper(engine, SMALL)
    sam2 = load_engine(request.getfixturevalue("tiny_weights")(kind), "video", "cpu")
    return lambda: Sam2Stepper(sam2)


def given_of(masks: Sequence[BoolMask | None]) -> Given:
    which = np.array([mask is not None for mask in masks])
    return Given(np.stack([np.zeros(TRUTH.shape[2:], bool) if mask is None else mask for mask in masks]), which)


def followed(new_stepper: NewStepper, give: Give, num_frames: int = len(FRAMES)) -> list[Tracked]:
    stepper = new_stepper()
    found = [stepper.step(rgb, given_of(give[t]) if t in give else None) for t, rgb in enumerate(FRAMES[:num_frames])]
    assert all(one.masks.sum(0).max() <= 1 for one in found)
    assert all((sure > 0) == mask.any() for one in found for sure, mask in zip(one.confidence, one.masks, strict=True))
    return found


def same(one: Sequence[Tracked], other: Sequence[Tracked], order: Sequence[int], least: float = 1.0) -> bool:
    """Return whether the masks of one are those of the other in an order, but for a share of the pixels."""
    return all(float((a.masks == b.masks[list(order)]).mean()) >= least for a, b in zip(one, other, strict=True))


def test_nothing_is_followed_before_anything_is_given(new_stepper: NewStepper) -> None:
    with pytest.raises((ValueError, InvalidPrompt)):
        new_stepper().step(FRAMES[0])


def test_an_object_is_not_there_until_it_is_given_and_changes_nothing_for_others(new_stepper: NewStepper) -> None:
    late = followed(new_stepper, {0: (TRUTH[0, 0], None), 3: (None, TRUTH[3, 1])}, 4)
    stepper = new_stepper()
    alone = [stepper.step(rgb, Given.of(TRUTH[0, :1]) if t == 0 else None) for t, rgb in enumerate(FRAMES[:3])]
    for t in range(3):
        assert not late[t].masks[1].any()
        assert late[t].confidence[1] == 0
        assert (late[t].masks[0] == alone[t].masks[0]).all()
    assert (late[3].masks[1] == TRUTH[3, 1]).all()
    assert late[3].confidence[1] == 1


def test_objects_keep_their_places_in_whatever_order_they_come(new_stepper: NewStepper) -> None:
    in_order = followed(new_stepper, {0: (TRUTH[0, 0], None), 2: (None, TRUTH[2, 1])}, 4)
    reversed_ = followed(new_stepper, {0: (None, TRUTH[0, 0]), 2: (TRUTH[2, 1], None)}, 4)
    assert same(in_order, reversed_, (1, 0), least=0.999)


def test_a_correction_of_one_object_counts_and_the_other_gives_way(new_stepper: NewStepper) -> None:
    moved = np.roll(TRUTH[2, 0], 5, 1) | TRUTH[2, 1]  # it takes what was the other's
    found = followed(new_stepper, {0: (TRUTH[0, 0], TRUTH[0, 1]), 2: (moved, None)}, 3)
    assert (found[2].masks[0] == moved).all()
    assert found[2].confidence[0] == 1
    assert not (found[2].masks[1] & moved).any()


def test_an_object_that_is_given_as_absent_is_absent_there(new_stepper: NewStepper) -> None:
    nothing = np.zeros_like(TRUTH[0, 0])
    found = followed(new_stepper, {0: (TRUTH[0, 0], TRUTH[0, 1]), 1: (None, nothing), 3: (None, TRUTH[3, 1])}, 4)
    assert not found[1].masks[1].any()
    assert found[1].confidence[1] == 0
    assert (found[3].masks[1] == TRUTH[3, 1]).all()
    from_the_start = followed(new_stepper, {0: (TRUTH[0, 0], nothing), 1: (None, TRUTH[1, 1])}, 2)
    assert not from_the_start[0].masks[1].any()
    assert (from_the_start[1].masks[1] == TRUTH[1, 1]).all()


def test_what_another_run_carried_to_the_first_frame_is_followed_from_there(new_stepper: NewStepper) -> None:
    stepper, both = new_stepper(), new_stepper()
    start = Given(TRUTH[0], np.array([True, False]))
    found = [stepper.step(FRAMES[0], start), *(stepper.step(rgb) for rgb in FRAMES[1:2])]
    expected = [both.step(FRAMES[0], Given.of(TRUTH[0])), *(both.step(rgb) for rgb in FRAMES[1:2])]
    assert same(found, expected, (0, 1))
    again = stepper.step(FRAMES[2], given_of((None, TRUTH[2, 1])))
    assert (again.masks[1] == TRUTH[2, 1]).all()
    assert stepper.step(FRAMES[3]).masks.shape == TRUTH[4].shape


def test_behind_a_cut_what_is_given_needs_no_verification_and_what_is_carried_does(new_stepper: NewStepper) -> None:
    after: list[Tracked] = []
    for refused in ([True, True], [False, True]):
        stepper, keep = new_stepper(), ~np.array(refused)[:, None, None]
        stepper.step(FRAMES[0], Given.of(TRUTH[0]))
        search = Search(True, np.array([True, True]), lambda masks, keep=keep: masks & keep)
        found = stepper.step(FRAMES[1], given_of((TRUTH[1, 0], None)), search)
        assert (found.masks[0] == TRUTH[1, 0]).all()
        assert not found.masks[1].any()
        assert found.confidence == (1.0, 0.0)
        after.append(stepper.step(FRAMES[2]))
    assert same(after[:1], after[1:], (0, 1))  # what is given is remembered, whatever a verification would have said


def test_the_same_input_gives_the_same_masks(new_stepper: NewStepper) -> None:
    give = {0: (TRUTH[0, 0], None), 1: (None, TRUTH[1, 1]), 2: (TRUTH[2, 0], None)}
    one, other = followed(new_stepper, give, 4), followed(new_stepper, give, 4)
    assert same(one, other, (0, 1))
    assert [tracked.confidence for tracked in one] == [tracked.confidence for tracked in other]
