"""Overrides of a preset's settings: what is not named stays the preset's own, and what a preset cannot do is refused."""

from __future__ import annotations

import pytest

from videoseg_r1.errors import InvalidConfig, UnknownName
from videoseg_r1.presets.table import PRESETS, chat_of, load


def settings_of(*preset: str, **changes: object) -> dict[str, object]:
    segmenter = load(*preset, **changes)  # type: ignore[arg-type]
    return {**segmenter.stages.settings["sampler"], **segmenter.stages.settings["extensions"]}


def test_a_preset_keeps_its_own_settings_beside_those_that_are_changed():
    own, changed = settings_of("lite"), settings_of("lite", sampler={"num_intervals": 8})
    assert own["num_seed_frames"] == 2
    assert changed == {**own, "num_intervals": 8}
    assert settings_of("lite", extensions={"num_seed_frames": 1}) == {**own, "num_seed_frames": 1}


def test_paper_scale_presets_make_masks_in_the_target_frame():
    assert settings_of("3b")["num_seed_frames"] == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sampler": {"num_interval": 8}}, "sampler.num_interval"),
        ({"sampler": {"num_intervals": "8"}}, "num_intervals"),
        ({"sampler": {"num_intervals": 0}}, "num_intervals"),
        ({"sampler": {"mode": "last"}}, "mode"),
        ({"extensions": {"num_seed_frames": 17}}, "17 seed frames"),
        ({"extensions": {"views": 2}}, "extensions.views"),
        ({"extensions": {"self_check": True}}, "self_check"),
        ({"extensions": {"num_presence_votes": 3}}, "num_presence_votes"),
        ({"sampler": {"num_anchors": 2}}, "num_seed_frames"),
    ],
)
def test_what_lite_does_not_have_or_cannot_do_is_refused_by_name(changes, named):
    with pytest.raises(InvalidConfig) as refused:
        load("lite", **changes)
    assert named in str(refused.value)


def test_a_preset_that_asks_a_model_again_has_no_seed_frames_of_its_own_perception():
    with pytest.raises(InvalidConfig, match="--anchors"):
        load("3b", extensions={"num_seed_frames": 2})


def test_rating_needs_a_model_that_sees_pictures():
    with pytest.raises(InvalidConfig, match="a model that sees pictures") as refused:
        chat_of("lite")
    assert all(name in str(refused.value) for name in ("3b", "7b", "endpoint"))


def test_an_unknown_preset_is_named_with_those_that_exist():
    with pytest.raises(UnknownName, match="lit ") as refused:
        load("lit ")
    assert all(name in str(refused.value) for name in PRESETS)
