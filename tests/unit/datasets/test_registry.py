"""The table of datasets: every row can be used, wrong names get a hint, and reading it is light."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from helpers.drawn_davis import draw_davis
from videoseg_r1.datasets.registry import DATASETS, dataset_for, names_for
from videoseg_r1.errors import UnknownName


def test_what_can_be_scored_and_what_can_be_trained_on() -> None:
    assert names_for("evaluation") == ["davis16", "davis17"]
    assert names_for("training") == ["ref_youtube_vos", "mevis", "ref_davis17"]


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_has_a_loader_a_split_and_a_use(name: str) -> None:
    row = DATASETS[name]
    module, function = row.loader.split(":")
    assert callable(getattr(import_module(module), function))
    assert row.splits
    assert row.uses
    assert row.summary
    assert row.layout


def test_a_row_loads_the_clips_of_its_folder(tmp_path: Path) -> None:
    clips = dataset_for("evaluation", "davis16").load(draw_davis(tmp_path), ["cow", "ant"])
    assert [(clip.dataset, clip.split, clip.name, len(clip.expressions)) for clip in clips] == [
        ("davis16", "all", "ant", 4),
        ("davis16", "all", "cow", 4),
    ]


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(UnknownName, match=r"did you mean davis16\?"):
        dataset_for("evaluation", "davis_16")
    with pytest.raises(UnknownName, match="known are ref_youtube_vos, mevis, ref_davis17"):
        dataset_for("training", "webcam")
    with pytest.raises(UnknownName, match=r"did you mean valid_u\?"):
        DATASETS["mevis"].load(Path(), split="valid")


def test_a_dataset_is_not_used_for_what_it_does_not_support() -> None:
    with pytest.raises(UnknownName, match="it is for training"):
        dataset_for("evaluation", "mevis")


def test_reading_the_table_loads_no_array_library() -> None:
    code = "import sys, videoseg_r1.datasets.registry; print(*{'numpy', 'torch', 'cv2', 'PIL', 'pydantic'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
