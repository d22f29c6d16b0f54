"""True masks out of PNGs and run lengths: several objects, any object, frames without a file, objects that are not to be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videoseg_r1.datasets.true_masks import ANY_OBJECT, PngMasks, RleMasks
from videoseg_r1.errors import InvalidDocument
from videoseg_r1.masks import encode, write_label_png

SIZE = (6, 4)


@pytest.fixture
def labels() -> np.ndarray:
    picture = np.zeros(SIZE[::-1], np.uint8)
    picture[0, :3], picture[2, 1:], picture[3] = 1, 2, 255
    return picture


def test_objects_of_a_palette_come_in_the_order_asked_for(tmp_path: Path, labels: np.ndarray) -> None:
    write_label_png(tmp_path / "a.png", labels)
    masks = PngMasks({0: tmp_path / "a.png"})
    assert masks.size == SIZE
    np.testing.assert_array_equal(masks.read(["2", "1"], 0), np.stack([labels == 2, labels == 1]))
    np.testing.assert_array_equal(masks.read([ANY_OBJECT], 0)[0], labels != 0)
    assert masks.read([], 0).shape == (0, *SIZE[::-1])


def test_void_counts_only_where_the_dataset_has_it(tmp_path: Path, labels: np.ndarray) -> None:
    write_label_png(tmp_path / "a.png", labels)
    write_label_png(tmp_path / "b.png", np.minimum(labels, 2))
    paths = {0: tmp_path / "a.png", 1: tmp_path / "b.png"}
    assert PngMasks(paths).ignored(0) is None
    np.testing.assert_array_equal(PngMasks(paths, has_void=True).ignored(0), labels == 255)
    assert PngMasks(paths, has_void=True).ignored(1) is None


def test_only_frames_with_a_file_have_a_truth(tmp_path: Path, labels: np.ndarray) -> None:
    for index in (3, 7):
        write_label_png(tmp_path / f"{index}.png", labels)
    masks = PngMasks({index: tmp_path / f"{index}.png" for index in (3, 7)})
    assert list(masks.frames(["1"])) == [3, 7]
    assert masks.read(["1"], 7).any()


def test_a_grey_file_has_one_object(tmp_path: Path, labels: np.ndarray) -> None:
    Image.fromarray((labels == 1).astype(np.uint8) * 255).save(tmp_path / "a.png")
    masks = PngMasks({0: tmp_path / "a.png"})
    np.testing.assert_array_equal(masks.read(["1"], 0)[0], labels == 1)
    with pytest.raises(InvalidDocument, match="object 2"):
        masks.read(["2"], 0)


def test_a_mask_of_another_size_is_refused(tmp_path: Path, labels: np.ndarray) -> None:
    write_label_png(tmp_path / "0.png", labels)
    write_label_png(tmp_path / "1.png", labels[:-1])
    with pytest.raises(InvalidDocument, match="6 x 3 pixels instead of 6 x 4"):
        PngMasks({0: tmp_path / "0.png", 1: tmp_path / "1.png"}).read(["1"], 1)


def test_run_lengths_of_objects_that_are_not_to_be_seen_are_empty(labels: np.ndarray) -> None:
    masks = RleMasks({"7": [None, encode(labels == 1), None], "9": [None, None, encode(labels == 2)]})
    assert masks.size == SIZE
    assert masks.read(["9", "7"], 0).shape == (2, *SIZE[::-1])
    assert not masks.read(["9", "7"], 0).any()
    np.testing.assert_array_equal(masks.read(["9", "7"], 1), np.stack([np.zeros_like(labels, bool), labels == 1]))
    assert masks.read([], 1).shape == (0, *SIZE[::-1])
