"""The walks that docs/architecture.md shows are those of a real run."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.places import ROOT
from helpers.walks import as_markdown, draw_clip, frame_walk, marked, query_walk, walk

DOCUMENT = ROOT / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_clip(tmp_path_factory.mktemp("walk") / "clip.mp4")


@pytest.mark.parametrize(("name", "walked"), [("query", query_walk), ("frame", frame_walk)])
def test_the_document_shows_the_walk_of_a_real_run(name, walked, clip, tmp_path):
    found = as_markdown(walked(clip, tmp_path / "out"))
    assert found == marked(DOCUMENT.read_text(encoding="utf-8"), name), "run tools/write_walks.py, and look at what changed"


def test_a_walk_holds_the_functions_that_are_handed_the_thing_in_order():
    from videoseg_r1.prompts import clean_query

    found = walk(lambda: clean_query("  the dog "), lambda value: isinstance(value, str) and value.strip() == "the dog")
    assert found[0] == ("prompts.queries", "clean_query")
    assert walk(lambda: clean_query("the cat"), lambda value: value == "the dog") == []
