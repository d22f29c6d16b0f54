"""Where the weights deltas of the reader lie, and what is said where one is missing."""

from __future__ import annotations

import pytest

from videoseg_r1.errors import WeightsMissing
from videoseg_r1.lite.reader import trained


@pytest.mark.parametrize("source", ["smollm2", "reader-base", "reader-sft", "reader"])
def test_what_ships_is_in_the_package(source):
    paths = trained.delta_files(source)
    assert [path.name for path in paths] == list(trained.DELTA_FILES[source])
    assert all(path.parent == trained.WEIGHTS for path in paths)


@pytest.mark.parametrize(
    ("source", "folder", "fix"),
    [("reader", "WEIGHTS", "install the package again"), ("reader-silent", "ABLATION_WEIGHTS", "take it from the repository")],
)
def test_a_missing_file_is_named_with_where_it_comes_from(source, folder, fix, monkeypatch, tmp_path):
    monkeypatch.setattr(trained, folder, tmp_path)
    with pytest.raises(WeightsMissing, match=fix) as caught:
        trained.delta_files(source)
    assert caught.value.where.startswith(str(tmp_path))
