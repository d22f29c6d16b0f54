"""Mask pictures that people give: objects by value, index or colour; soft and smoothed values told apart; photographs refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from videoseg_r1.errors import InvalidDocument, LimitExceeded, SourceNotFound
from videoseg_r1.masks import from_label_map, read_mask, read_mask_picture, write_label_png

WIDTH, HEIGHT = 64, 48
RED, GREEN = (255, 0, 0), (0, 255, 0)
Color = int | tuple[int, int, int]


def two_discs(values: Sequence[Color], *, zoom: int = 1) -> Image.Image:
    """Return a picture of up to two discs that touch, of the given values, on black."""
    picture = Image.new("L" if isinstance(values[0], int) else "RGB", (WIDTH * zoom, HEIGHT * zoom))
    for value, (x, y, radius) in zip(values, ((24, 22, 15), (44, 28, 12)), strict=False):
        ImageDraw.Draw(picture).ellipse([zoom * n for n in (x - radius, y - radius, x + radius, y + radius)], fill=value)
    return picture


def hard(ids: Sequence[int]) -> np.ndarray:
    """Return the label map of the discs."""
    return np.array(two_discs(ids))


def saved(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


def agree(labels: np.ndarray, expected: np.ndarray) -> float:
    """Return the share of equal pixels. The numbers must be the same."""
    assert np.unique(labels).tolist() == np.unique(expected).tolist()
    return float((labels == expected).mean())


class TestPictures:
    @pytest.mark.parametrize(
        ("mode", "pixels", "expected"),
        [
            ("L", [[0, 255], [100, 200]], [[0, 1], [100, 200]]),
            ("L", [[0, 1], [2, 3]], [[0, 1], [2, 3]]),
            ("RGB", [[[0, 0, 0], [0, 128, 0]], [[128, 0, 0], [0, 0, 0]]], [[0, 2], [1, 0]]),
            ("RGB", [[[0, 0, 0], [255, 0, 0]], [[0, 0, 255], [0, 0, 0]]], [[0, 2], [1, 0]]),
            ("RGB", [[[255, 255, 255], [255, 255, 255]], [[255, 255, 255], [255, 255, 255]]], [[1, 1], [1, 1]]),
            ("RGBA", [[[9, 9, 9, 0], [9, 9, 9, 255]], [[0, 0, 0, 255], [9, 9, 9, 100]]], [[0, 9], [0, 0]]),
        ],
    )
    def test_pictures_of_other_kinds(self, tmp_path: Path, mode: str, pixels: list[object], expected: list[list[int]]) -> None:
        Image.fromarray(np.array(pixels, np.uint8)).convert(mode).save(tmp_path / "m.png")
        assert read_mask(tmp_path / "m.png").tolist() == expected

    def test_a_bilevel_picture(self, tmp_path: Path) -> None:
        Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "m.png")
        assert read_mask(tmp_path / "m.png").tolist() == [[0, 1]]

    def test_a_photograph_is_refused(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "photo.png")
        with pytest.raises(InvalidDocument, match="colours"):
            read_mask(tmp_path / "photo.png")

    def test_broken_pictures_are_refused(self, tmp_path: Path) -> None:
        Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "real.tiff")
        (tmp_path / "text.png").write_text("no picture")
        write_label_png(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 9, (64, 64), np.uint8))
        (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-200])
        for name in ("real.tiff", "text.png", "cut.png"):
            with pytest.raises(InvalidDocument, match=name):
                read_mask(tmp_path / name)

    def test_a_missing_picture(self, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFound, match="none"):
            read_mask(tmp_path / "none.png")

    @pytest.mark.parametrize("side", [9000, 14000])
    def test_a_picture_bomb_is_not_decoded(self, tmp_path: Path, side: int) -> None:
        Image.new("1", (side, side)).save(tmp_path / "bomb.png")
        with pytest.raises(LimitExceeded, match="bomb"):
            read_mask(tmp_path / "bomb.png")


class TestGrey:
    @pytest.mark.parametrize("values", [(100, 200), (10, 20), (50, 250), (60, 120), (1, 5), (127, 128), (254, 3)])
    def test_every_value_is_an_object_of_that_number(self, tmp_path: Path, values: tuple[int, int]) -> None:
        found = read_mask_picture(saved(two_discs(values), tmp_path / "m.png"))
        assert (found.labels == hard(values)).all()
        assert found.notes == ()

    @pytest.mark.parametrize(("others", "number"), [((), 1), ((128,), 1), ((1,), 254), ((1, 254), 253)])
    def test_white_is_object_1_or_the_highest_free_number(self, tmp_path: Path, others: tuple[int, ...], number: int) -> None:
        grey = np.array([[0, 255, *others]], np.uint8)
        found = read_mask_picture(saved(Image.fromarray(grey), tmp_path / "m.png"))
        assert found.labels.tolist() == [[0, number, *others]]
        assert bool(found.notes) == bool(others)

    def test_colours_that_are_all_grey_are_grey(self, tmp_path: Path) -> None:
        for mode in ("RGB", "RGBA", "LA"):
            assert (read_mask(saved(two_discs((100, 200)).convert(mode), tmp_path / "m.png")) == hard((100, 200))).all(), mode

    def test_255_different_objects_are_too_many(self, tmp_path: Path) -> None:
        every = np.arange(256, dtype=np.uint8).reshape(16, 16)
        with pytest.raises(LimitExceeded, match="255 different values, 254 objects at most"):
            read_mask(saved(Image.fromarray(every), tmp_path / "m.png"))
        with pytest.raises(LimitExceeded, match="300 different values"):
            read_mask(saved(Image.fromarray(np.arange(301).repeat(4).reshape(28, 43).astype(np.uint16)), tmp_path / "deep.png"))


class TestSixteenBits:
    def test_numbers_up_to_254_are_kept_and_larger_ones_get_free_ones(self, tmp_path: Path) -> None:
        deep = np.array([[0, 1, 254, 1000, 60000, 300]], np.uint16)
        found = read_mask_picture(saved(Image.fromarray(deep), tmp_path / "m.png"))
        assert found.labels.tolist() == [[0, 1, 254, 3, 4, 2]]
        assert found.notes == ("objects above 254 got new numbers: 300 is 2, 1000 is 3, 60000 is 4",)

    def test_eight_bits_stored_as_sixteen_are_what_they_were(self, tmp_path: Path) -> None:
        for name, values, expected in (
            ("small", hard((3, 200)), hard((3, 200))),
            ("stretched", hard((3, 200)).astype(np.uint16) * 257, hard((3, 200))),
            ("white", hard((255, 255)).astype(np.uint16) * 257, hard((1, 1))),
            ("smoothed", np.array(two_discs((200, 200), zoom=4).resize((WIDTH, HEIGHT)), np.uint16) * 256 + 9, hard((200, 200))),
        ):
            labels = read_mask(saved(Image.fromarray(values.astype(np.uint16)), tmp_path / f"{name}.png"))
            assert agree(labels, expected) > 0.97, name


class TestSmoothed:
    @pytest.mark.parametrize("values", [(255,), (255, 255), (100, 200), (30, 90), (RED,), (RED, GREEN)], ids=str)
    @pytest.mark.parametrize("how", [Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS])
    def test_values_along_the_borders_of_flat_ones_are_no_objects(
        self, tmp_path: Path, values: tuple[Color, ...], how: Image.Resampling
    ) -> None:
        exact = read_mask(saved(two_discs(values), tmp_path / "exact.png"))
        found = read_mask_picture(saved(two_discs(values, zoom=4).resize((WIDTH, HEIGHT), how), tmp_path / "smooth.png"))
        assert agree(found.labels, exact) > 0.95
        assert "went to the nearest" in found.notes[0]

    @pytest.mark.parametrize("radius", [0.7, 1.5, 3])
    def test_blurred_objects_are_cut_half_way(self, tmp_path: Path, radius: float) -> None:
        blurred = two_discs((100, 200)).resize((WIDTH * 4, HEIGHT * 4), Image.Resampling.NEAREST).filter(ImageFilter.GaussianBlur(radius))
        labels = read_mask(saved(blurred, tmp_path / "m.png"))
        assert agree(labels, hard((100, 200)).repeat(4, 0).repeat(4, 1)) > 0.98

    def test_round_corners_of_a_box_are_smoothed_borders_too(self, tmp_path: Path) -> None:
        picture = Image.new("L", (4 * WIDTH, 4 * HEIGHT))
        ImageDraw.Draw(picture).rounded_rectangle((40, 40, 199, 159), 32, fill=255)
        found = read_mask_picture(saved(picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX), tmp_path / "m.png"))
        assert np.unique(found.labels).tolist() == [0, 1]
        assert found.notes

    @pytest.mark.parametrize("quality", [95, 75, 50])
    @pytest.mark.parametrize("values", [(255, 255), (100, 200), (RED, GREEN)], ids=str)
    def test_the_noise_of_jpeg_is_no_object(self, tmp_path: Path, values: tuple[Color, ...], quality: int) -> None:
        large = two_discs(values).resize((WIDTH * 3, HEIGHT * 3), Image.Resampling.NEAREST)
        exact = read_mask(saved(large, tmp_path / "exact.png"))
        assert agree(read_mask(saved(large, tmp_path / "m.jpg", quality=quality)), exact) > 0.97

    def test_a_thin_object_beside_flat_ones_stays(self, tmp_path: Path) -> None:
        labels = hard((200, 90))
        labels[3, :30] = labels[40, 10:] = 7
        found = read_mask_picture(saved(Image.fromarray(labels), tmp_path / "m.png"))
        assert (found.labels == labels).all()
        assert found.notes == ()

    def test_a_thin_object_between_two_of_many_flat_ones_stays(self, tmp_path: Path) -> None:
        stripes = np.repeat(np.array([10, 200, 30, 220, 50, 240, 70], np.uint8), 10)[None].repeat(HEIGHT, 0)
        stripes[:, 10] = 100
        found = read_mask_picture(saved(Image.fromarray(stripes), tmp_path / "m.png"))
        assert (found.labels == stripes).all()
        assert found.notes == ()


class TestSoft:
    @pytest.mark.parametrize("width", [64, 300, 900])
    def test_a_ramp_is_cut_half_way(self, tmp_path: Path, width: int) -> None:
        ramp = np.tile(np.linspace(0, 255, width).round().astype(np.uint8), (HEIGHT, 1))
        found = read_mask_picture(saved(Image.fromarray(ramp), tmp_path / "m.png"))
        assert (found.labels == (ramp > 127)).all()
        assert "soft mask" in found.notes[0]

    def test_a_matte_with_soft_hair_and_a_noisy_inside_is_one_object(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        matte = cv2.GaussianBlur(hard((255, 255)).astype(np.float32), (0, 0), 2.5) + rng.normal(0, 3, (HEIGHT, WIDTH))
        matte = np.where(matte > 240, rng.integers(248, 256, matte.shape), matte).clip(0, 255).astype(np.uint8)
        assert agree(read_mask(saved(Image.fromarray(matte), tmp_path / "m.png")), hard((1, 1))) > 0.97

    def test_a_photograph_is_refused(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        blobs = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT * 2, WIDTH * 2)).astype(np.float32), (0, 0), 4)
        photo = (128 + 45 * blobs / blobs.std() + rng.normal(0, 4, blobs.shape)).clip(0, 255).astype(np.uint8)
        photo[:, WIDTH:] = photo[:, WIDTH:] // 3
        for name in ("m.png", "m.jpg"):
            with pytest.raises(InvalidDocument, match="photograph"):
                read_mask(saved(Image.fromarray(photo), tmp_path / name))

    def test_a_photograph_that_jpeg_made_flat_is_refused(self, tmp_path: Path) -> None:
        blobs = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (192, 256)).astype(np.float32), (0, 0), 8)
        photo = (128 + 45 * blobs / blobs.std()).clip(0, 255).astype(np.uint8)
        photo[:, 128:] //= 3
        with pytest.raises(InvalidDocument, match="photograph"):
            read_mask(saved(Image.fromarray(photo), tmp_path / "m.jpg", quality=10))

    def test_photographs_of_real_clips_are_refused(self, shared_data: Path, tmp_path: Path) -> None:
        photos = sorted((shared_data / "davis16_dev/JPEGImages/480p").glob("*/00000.jpg"))
        assert photos
        for photo in photos[:6]:
            for name in ("grey.png", "grey.jpg"):
                with Image.open(photo) as picture, pytest.raises(InvalidDocument, match="photograph"):
                    read_mask(saved(picture.convert("L"), tmp_path / name))


class TestTransparency:
    def test_what_can_be_seen_is_the_object(self, tmp_path: Path) -> None:
        alpha = two_discs((255, 255), zoom=4).resize((WIDTH, HEIGHT))
        photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
        for color in (Image.new("RGB", photo.size), Image.new("RGB", photo.size, (255, 255, 255)), photo):
            color.putalpha(alpha)
            found = read_mask_picture(saved(color, tmp_path / "m.png"))
            assert agree(found.labels, hard((1, 1))) > 0.97
            assert any("transparen" in note for note in found.notes)

    def test_colours_that_can_be_seen_are_the_objects(self, tmp_path: Path) -> None:
        picture = two_discs((RED, GREEN))
        picture.putalpha(two_discs((255, 255)))
        assert (read_mask(saved(picture, tmp_path / "m.png")) == hard((2, 1))).all()

    def test_transparent_entries_of_a_palette_are_background(self, tmp_path: Path) -> None:
        write_label_png(tmp_path / "m.png", np.array([[0, 1, 2, 3, 255]], np.uint8))
        with Image.open(tmp_path / "m.png") as picture:
            picture.save(tmp_path / "one.png", transparency=2)
            picture.save(tmp_path / "several.png", transparency=bytes([0, 255, 3, 128]))
        for name in ("one.png", "several.png"):
            found = read_mask_picture(tmp_path / name)
            assert found.labels.tolist() == [[0, 1, 0, 3, 255]]
            assert found.notes == ("the indices [2] are transparent, and so background",)


def test_the_faults_that_were_found_are_read_right(shared_data: Path) -> None:
    files = sorted((shared_data / "faults").glob("mask_*.png"))
    assert files
    for file in files:
        expected = {int(number) for number in file.stem.split("_")[2:]}
        ids = set(from_label_map(read_mask(file))[0])
        assert ids == ({1, 128} if 255 in expected else expected), file.name
