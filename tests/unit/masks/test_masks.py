"""Run lengths, label maps and pictures, geometry, and the spool: known values and refusals."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from helpers.shapes import rectangle
from videoseg_r1.errors import InvalidDocument, InvalidPrompt, OutputError, ShapeMismatch, UsageError
from videoseg_r1.masks import (
    DAVIS_PALETTE,
    MaskSpool,
    boundary,
    box_of,
    center_of,
    check_rle,
    decode,
    encode,
    from_label_map,
    label_map,
    negative_point_of,
    read_mask,
    resize_mask,
    union_of,
    write_label_png,
)
from videoseg_r1.types import Box, Point


class TestRle:
    def test_is_what_pycocotools_writes(self) -> None:
        mask = rectangle((6, 4), 2, 1, 5, 3)
        assert encode(mask) == {"size": [4, 6], "counts": "9220003"}
        assert (decode({"size": [4, 6], "counts": b"9220003"}) == mask).all()

    def test_encode_wants_one_mask(self) -> None:
        with pytest.raises(ShapeMismatch, match="height, width"):
            encode(np.zeros((1, 4, 6), bool))

    @pytest.mark.parametrize(
        "rle",
        [
            None,
            [],
            {},
            {"size": [4, 6]},
            {"counts": "9220003"},
            {"size": [4], "counts": "9220003"},
            {"size": [4.0, 6.0], "counts": "9220003"},
            {"size": "46", "counts": "9220003"},
            {"size": [4, 6], "counts": [9, 2]},
            {"size": [0, 6], "counts": "0"},
            {"size": [-4, -6], "counts": "9220003"},
            {"size": [2**16, 2**16], "counts": "PPPPP1"},
            {"size": [4, 6], "counts": ""},
            {"size": [4, 6], "counts": "922000"},
            {"size": [4, 6], "counts": "9220003P"},
            {"size": [4, 6], "counts": "9220003\n"},
            {"size": [4, 6], "counts": "9220003é"},
            {"size": [4, 6], "counts": "\udcff"},
            {"size": [4, 6], "counts": "P" * 40 + "0"},
            {"size": [4, 6], "counts": "O000I0"},
        ],
    )
    def test_unsound_runs_are_refused_with_their_place(self, rle: object) -> None:
        with pytest.raises(InvalidDocument, match=r"annotations\[3\]"):
            decode(rle, "annotations[3]")

    def test_runs_that_would_write_past_the_mask_are_refused(self) -> None:
        large = encode(np.eye(64, dtype=bool))
        with pytest.raises(InvalidDocument, match="fill 4096 pixels of 16"):
            check_rle({"size": [4, 4], "counts": large["counts"]})

    def test_every_mask_of_a_real_clip_survives(self, shared_data: Path) -> None:
        paths = sorted((shared_data / "davis16_dev/Annotations/480p/paragliding-launch").glob("*.png"))[::10]
        masks = [read_mask(path) == 1 for path in paths]
        assert len(masks) == 8
        assert all(mask.any() for mask in masks)
        assert all((decode(encode(mask)) == mask).all() for mask in masks)


class TestLabels:
    def test_palette_starts_as_the_published_one(self) -> None:
        assert DAVIS_PALETTE[:9].tolist() == [
            [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128], [0, 128, 128], [128, 128, 128], [64, 0, 0],
        ]  # fmt: skip
        assert len({tuple(color) for color in DAVIS_PALETTE.tolist()}) == 256

    def test_the_first_mask_keeps_an_overlap(self) -> None:
        masks = np.stack([rectangle((3, 2), 0, 0, 2, 2), rectangle((3, 2), 1, 0, 3, 1)])
        assert label_map(masks).tolist() == [[1, 1, 2], [1, 1, 0]]
        assert label_map(masks, [9, 4]).tolist() == [[9, 9, 4], [9, 9, 0]]

    @pytest.mark.parametrize(
        ("masks", "ids"), [((2, 2), None), ((1, 2, 2), [0]), ((1, 2, 2), [255]), ((1, 2, 2), [1, 2]), ((255, 2, 2), None)]
    )
    def test_what_makes_no_label_map(self, masks: tuple[int, ...], ids: list[int] | None) -> None:
        with pytest.raises(ShapeMismatch):
            label_map(np.zeros(masks, bool), ids)

    def test_void_is_no_object(self) -> None:
        ids, masks = from_label_map(np.array([[0, 7], [255, 3]], np.uint8))
        assert ids == (3, 7)
        assert masks.tolist() == [[[False, False], [False, True]], [[False, True], [False, False]]]

    def test_a_map_of_0_and_255_is_a_black_and_white_mask(self) -> None:
        ids, masks = from_label_map(np.array([[0, 255]], np.uint8))
        assert (ids, masks.tolist()) == ((1,), [[[False, True]]])

    def test_an_empty_map_has_no_masks(self) -> None:
        ids, masks = from_label_map(np.zeros((3, 5), np.int32))
        assert (ids, masks.shape) == ((), (0, 3, 5))
        assert not union_of(masks).any()
        assert union_of(masks).shape == (3, 5)

    def test_a_label_picture_holds_indices_and_colours(self, tmp_path: Path) -> None:
        labels = np.array([[0, 1, 2], [254, 255, 9]], np.uint8)
        write_label_png(tmp_path / "m.png", labels)
        assert (read_mask(tmp_path / "m.png") == labels).all()
        with Image.open(tmp_path / "m.png") as picture:
            assert picture.mode == "P"
            assert picture.convert("RGB").getpixel((2, 0)) == (0, 128, 0)
        assert [path.name for path in tmp_path.iterdir()] == ["m.png"]

    def test_nothing_is_left_where_nothing_can_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "m.png").mkdir()
        with pytest.raises(OutputError, match=r"m\.png"):
            write_label_png(tmp_path / "m.png", np.zeros((2, 2), np.uint8))
        assert [path.name for path in tmp_path.iterdir()] == ["m.png"]

    def test_resizing_takes_the_pixel_under_the_centre(self) -> None:
        mask = np.array([[True, False], [False, True]])
        assert resize_mask(mask, (4, 2)).tolist() == [[True, True, False, False], [False, False, True, True]]
        assert resize_mask(resize_mask(mask, (6, 6)), (2, 2)).tolist() == mask.tolist()
        assert resize_mask(np.stack([mask, ~mask]), (1, 3)).shape == (2, 3, 1)

    def test_a_mask_is_brought_to_size(self, tmp_path: Path) -> None:
        write_label_png(tmp_path / "m.png", np.array([[5, 0]], np.uint8))
        assert read_mask(tmp_path / "m.png", size=(4, 2)).tolist() == [[5, 5, 0, 0]] * 2


class TestGeometry:
    def test_box_has_outer_edges(self) -> None:
        assert box_of(rectangle((20, 10), 3, 4, 4, 5)) == Box(3, 4, 4, 5)
        assert box_of(np.ones((10, 20), bool)) == Box(0, 0, 20, 10)

    def test_an_empty_mask_has_no_place(self) -> None:
        for place in (box_of, center_of):
            with pytest.raises(InvalidPrompt):
                place(np.zeros((4, 4), bool))
        assert negative_point_of(np.zeros((4, 4), bool)) is None

    def test_center_of_a_ring_lies_on_the_ring(self) -> None:
        rows, columns = np.mgrid[:101, :101]
        ring = (np.hypot(rows - 50, columns - 50) < 45) & (np.hypot(rows - 50, columns - 50) > 30)
        point = center_of(ring)
        assert ring[int(point.y), int(point.x)]
        assert not ring[50, 50]

    def test_center_of_a_bar_is_its_middle(self) -> None:
        assert center_of(rectangle((90, 60), 10, 20, 71, 31)) == Point(40, 25)

    def test_center_of_what_is_cut_off_stays_in_the_picture(self) -> None:
        assert center_of(rectangle((50, 50), 0, 0, 21, 50)) == Point(10, 24)

    def test_center_is_deepest(self) -> None:
        mask = rectangle((100, 100), 5, 5, 15, 95) | rectangle((100, 100), 50, 30, 90, 70)
        point = center_of(mask)
        assert 50 + 15 <= point.x <= 90 - 15
        assert 30 + 15 <= point.y <= 70 - 15

    def test_negative_point_prefers_the_hole_in_the_box(self) -> None:
        mask = rectangle((840, 840), 200, 200, 600, 600) & ~rectangle((840, 840), 360, 360, 440, 440)
        point = negative_point_of(mask)
        assert point is not None
        assert 360 <= point.x < 440
        assert 360 <= point.y < 440

    def test_negative_point_keeps_clear_of_other_targets(self) -> None:
        mask = rectangle((100, 100), 20, 20, 50, 80)
        others = np.stack([rectangle((100, 100), 50, 0, 100, 100), rectangle((100, 100), 0, 0, 100, 18)])
        point = negative_point_of(mask, others)
        assert point is not None
        assert not (union_of(others) | mask)[int(point.y), int(point.x)]

    def test_negative_point_of_a_full_picture(self) -> None:
        assert negative_point_of(np.ones((20, 30), bool)) is None

    def test_boundary_compares_right_below_and_across(self) -> None:
        assert boundary(rectangle((4, 4), 1, 1, 3, 3)).astype(int).tolist() == [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
        assert not boundary(np.ones((4, 4), bool)).any()


class TestSpool:
    def test_frames_in_any_order(self) -> None:
        spool = MaskSpool(2, (6, 4))
        first = np.stack([rectangle((6, 4), 0, 0, 2, 2), rectangle((6, 4), 3, 1, 6, 4)])
        last = np.stack([np.zeros((4, 6), bool), rectangle((6, 4), 1, 1, 5, 3)])
        spool.put(5, last, [0.0, 0.25])
        spool.put(1, first)
        assert spool.num_frames == 6
        assert (spool.masks(1) == first).all()
        assert (spool.masks(5) == last).all()
        assert (spool.mask(1, 5) == last[1]).all()
        assert [spool.confidence(k, i) for i in (1, 5, 3, 99) for k in (0, 1)] == [1, 1, 0, 0.25, 0, 0, 0, 0]

    def test_what_was_never_put_is_empty(self) -> None:
        spool = MaskSpool(1, (6, 4))
        assert not spool.has(0)
        assert not spool.present(0, 7)
        assert not spool.mask(0, 7).any()
        assert spool.mask(0, 7).shape == (4, 6)
        assert not decode(spool.rle(0, 7)).any()

    def test_reading_does_not_disturb_writing(self) -> None:
        spool, rng = MaskSpool(1, (40, 30)), np.random.default_rng(1)
        masks = [rng.random((1, 30, 40)) < rng.random() for _ in range(300)]
        for index, mask in enumerate(masks):
            spool.put(index, mask)
            assert (spool.mask(0, index // 2) == masks[index // 2][0]).all()
        assert all((spool.masks(index) == mask).all() for index, mask in enumerate(masks))

    def test_rle_is_the_coco_mask(self) -> None:
        spool, mask = MaskSpool(1, (6, 4)), rectangle((6, 4), 2, 1, 5, 3)
        spool.put(0, mask[None])
        assert spool.rle(0, 0) == encode(mask)
        assert (coco.area(spool.rle(0, 0)), coco.toBbox(spool.rle(0, 0)).tolist()) == (6, [2, 1, 3, 2])

    def test_wrong_masks_are_refused_and_not_kept(self) -> None:
        spool = MaskSpool(1, (6, 4))
        for masks, confidence in (
            (np.ones((1, 6, 4), bool), None),
            (np.ones((2, 4, 6), bool), None),
            (np.ones((1, 4, 6), bool), [1.0, 1.0]),
        ):
            with pytest.raises(ShapeMismatch, match="frame 3"):
                spool.put(3, masks, confidence)
        spool.put(3, np.ones((1, 4, 6), bool))
        for index, why in ((3, "once"), (-1, "negative")):
            with pytest.raises(UsageError, match=why):
                spool.put(index, np.ones((1, 4, 6), bool))
        with pytest.raises(UsageError, match="no such object"):
            spool.mask(1, 3)

    def test_a_spool_of_nothing(self) -> None:
        spool = MaskSpool(0, (6, 4))
        spool.put(2, np.zeros((0, 4, 6), bool))
        assert spool.masks(2).shape == (0, 4, 6)

    def test_closed_masks_cannot_be_read(self) -> None:
        spool = MaskSpool(1, (6, 4))
        spool.put(0, np.ones((1, 4, 6), bool))
        spool.close()
        spool.close()
        with pytest.raises(UsageError, match="closed"):
            spool.mask(0, 0)
        with pytest.raises(UsageError, match="closed"):
            spool.put(1, np.ones((1, 4, 6), bool))

    def test_threads_read_while_others_write(self) -> None:
        rng = np.random.default_rng(2)
        masks = [rng.random((1, 120, 160)) < 0.5 for _ in range(240)]  # about 20 KB each, so the file leaves memory on the way
        spool, written = MaskSpool(1, (160, 120)), threading.Event()

        def write(parity: int) -> None:
            for index in range(parity, len(masks), 2):
                spool.put(index, masks[index])

        def read(seed: int) -> int:
            draws, num_read = np.random.default_rng(seed), 0
            while not written.is_set() or num_read < 100:
                index = int(draws.integers(len(masks)))
                if spool.has(index):
                    assert (spool.mask(0, index) == masks[index][0]).all(), index
                    num_read += 1
            return num_read

        with ThreadPoolExecutor(6) as threads:
            readers = [threads.submit(read, seed) for seed in range(4)]
            writers = [threads.submit(write, parity) for parity in range(2)]
            for writer in writers:
                writer.result()
            written.set()
            assert all(reader.result() >= 100 for reader in readers)
        assert all((spool.masks(index) == mask).all() for index, mask in enumerate(masks))

    def test_of_two_threads_that_put_the_same_frame_one_is_refused(self) -> None:
        spool, mask = MaskSpool(1, (64, 48)), np.ones((1, 48, 64), bool)

        def put(index: int) -> bool:
            try:
                spool.put(index, mask)
            except UsageError:
                return False
            return True

        with ThreadPoolExecutor(4) as threads:
            for index in range(50):
                assert sorted(threads.map(put, [index] * 4)) == [False, False, False, True]

    def test_memory_per_frame_is_below_a_kilobyte(self) -> None:
        rng = np.random.default_rng(0)
        masks = [rng.random((2, 48, 64)) < 0.5 for _ in range(8)]  # noise: about 3 KB of run lengths per frame
        spool = MaskSpool(2, (64, 48))
        for index in range(500):
            spool.put(index, masks[index % 8])
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for index in range(500, 5500):
            spool.put(index, masks[index % 8])
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown / 5000 < 200
        assert (spool.masks(5000) == masks[0]).all()
