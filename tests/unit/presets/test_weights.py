"""Which weights a preset needs."""

from __future__ import annotations

import pytest

from videoseg_r1.errors import UnknownName
from videoseg_r1.presets.table import PRESETS
from videoseg_r1.presets.weights import find_models


def test_presets_and_models_are_found_by_name():
    assert [ref.name for ref in find_models(["3b", "7b", "xmem"])] == ["qwen2.5-vl-3b", "sam2.1-large", "xmem", "qwen2.5-vl-7b"]


@pytest.mark.parametrize("preset", ["lite", "lite-matcher", "endpoint"])
def test_these_presets_need_nothing_that_is_fetched(preset):
    assert find_models([preset]) == []


@pytest.mark.parametrize("preset", ["3b", "7b", "qwen3-vl-2b", "qwen3-vl-4b", "qwen3-vl-8b"])
def test_presets_of_the_paper_s_scale_need_three_models(preset):
    language, *others = (ref.name for ref in find_models([preset]))
    assert language == {"3b": "qwen2.5-vl-3b", "7b": "qwen2.5-vl-7b"}.get(preset, preset)
    assert others == ["sam2.1-large", "xmem"]


def test_every_preset_is_known():
    assert {ref.name for ref in find_models(PRESETS)} >= {"sam2.1-large", "xmem", "qwen3-vl-8b"}


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(UnknownName, match=r"did you mean sam2\.1-tiny\? known are lite"):
        find_models(["sam2-tiny"])
