"""Overlay, cut-out, matte and the card: what must be in the picture, and that nothing people write can break it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from helpers.results import result_of
from videoseg_r1.errors import ShapeMismatch
from videoseg_r1.masks import MaskSpool, box_of, center_of, encode, negative_point_of
from videoseg_r1.output.card import card_frames, card_picture, draw_card
from videoseg_r1.output.page import measure, wrap
from videoseg_r1.output.render import OBJECT_COLORS, color_of, cutout, matte, overlay
from videoseg_r1.output.result import SegmentationResult, Track
from videoseg_r1.output.trace import Trace, TracedVideo
from videoseg_r1.types import Cue, KeyframePick, Reasoning, Round


def disc(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(columns - x, rows - y) <= radius


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


class TestOverlay:
    def test_tints_inside_outlines_the_edge_and_leaves_the_rest(self) -> None:
        mask = disc(480, 640, 300, 240, 100)
        before = grey(480, 640)
        after = overlay(before, mask[None])
        assert (before == 128).all()
        assert tuple(after[240, 400]) == color_of(1)
        inner = after[240, 300].astype(float)
        assert np.allclose(inner, 128 + 0.38 * (np.array(color_of(1)) - 128), atol=1)
        assert (after[240, 401] < 128).all()
        far = ~disc(480, 640, 300, 240, 104)
        assert (after[far] == 128).all()

    def test_line_grows_with_the_picture(self) -> None:
        for height in (240, 480, 960):
            mask = disc(height, height, height // 2, height // 2, height // 4)
            row = overlay(grey(height, height), mask[None])[height // 2]
            solid = (row == np.array(color_of(1))).all(axis=1).sum() // 2
            assert abs(solid - 2 * height / 480) <= 1

    def test_no_line_along_the_edge_of_the_picture(self) -> None:
        after = overlay(grey(64, 64), np.ones((1, 64, 64), bool))
        assert len(np.unique(after.reshape(-1, 3), axis=0)) == 1

    def test_first_object_is_on_top_and_numbers_choose_colours(self) -> None:
        whole = np.ones((2, 8, 8), bool)
        assert (overlay(grey(8, 8), whole, [3, 1]) != overlay(grey(8, 8), whole, [1, 3])).any()
        assert color_of(1) != color_of(2)
        assert color_of(len(OBJECT_COLORS) + 1) == color_of(1)

    def test_no_masks_no_change(self) -> None:
        frame = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
        assert (overlay(frame, np.zeros((0, 9, 7), bool)) == frame).all()
        assert (overlay(frame, np.zeros((2, 9, 7), bool)) == frame).all()

    @pytest.mark.parametrize(("masks", "ids"), [((1, 7, 9), None), ((9, 7), None), ((1, 9, 7), [1, 2])])
    def test_masks_must_fit(self, masks: tuple[int, ...], ids: list[int] | None) -> None:
        with pytest.raises(ShapeMismatch):
            overlay(np.zeros((9, 7, 3), np.uint8), np.zeros(masks, bool), ids)


class TestCutout:
    def test_alpha_is_the_mask_with_an_edge_of_one_pixel(self) -> None:
        mask = disc(60, 80, 40, 30, 15)
        rgba = cutout(grey(60, 80), mask)
        assert rgba.shape == (60, 80, 4)
        assert rgba[30, 40, 3] == 255
        assert ((rgba[..., 3] > 127) == mask).mean() > 0.98
        assert (rgba[~disc(60, 80, 40, 30, 18)][:, 3] == 0).all()

    def test_what_is_cut_away_is_not_in_the_file(self) -> None:
        rgba = cutout(grey(60, 80), disc(60, 80, 20, 30, 8))
        assert (rgba[:, 45:] == 0).all()
        assert (rgba[30, 29, :3] == 128).all()

    def test_nothing_found_is_all_transparent(self) -> None:
        assert not cutout(grey(6, 8), np.zeros((6, 8), bool)).any()

    def test_must_fit(self) -> None:
        with pytest.raises(ShapeMismatch):
            cutout(grey(6, 8), np.zeros((8, 6), bool))

    def test_matte_is_white_on_black(self) -> None:
        assert matte(np.array([[True, False]])).tolist() == [[[255] * 3, [0] * 3]]


class TestText:
    def test_lines_fit_and_lose_no_word(self) -> None:
        text = "the quick brown fox jumps over the lazy dog " * 5
        lines = wrap(text, 22, 300, 40)
        assert all(measure(line, 22) <= 300 for line in lines)
        assert " ".join(lines).split() == text.split()

    def test_long_words_are_broken_and_long_texts_cut(self) -> None:
        assert "".join(wrap("W" * 100, 22, 200, 40)) == "W" * 100
        lines = wrap("word " * 400, 22, 200, 3)
        assert len(lines) == 3
        assert lines[-1].endswith("...")
        assert measure(lines[-1], 22) <= 200
        assert wrap("W" * 10_000_000, 22, 200, 2)[-1].endswith("...")

    @pytest.mark.parametrize("text", ["", " \n\t ", "\0\x1b[31m", "\u202e", "\ud800"])
    def test_texts_of_nothing(self, text: str) -> None:
        assert len(wrap(text, 22, 200, 3)) == 1


def disc_result(
    query: str | None = "the red disc", num_objects: int = 1, text: str = "It is red.", **changes: object
) -> SegmentationResult:
    """A run of 20 frames in which a disc moves and is away now and then; `changes` are fields of the result."""
    num, size = 20, (160, 90)
    discs = [disc(90, 160, 40 + 4 * i, 45, 20) for i in range(num)]
    masks = {i: np.repeat((discs[i] & (i % 7 != 3))[None], num_objects, axis=0) for i in range(num)}
    negative = negative_point_of(discs[9])
    assert negative is not None
    cue = Cue(box_of(discs[9]), (center_of(discs[9]),), (negative,))
    rounds = (Round((0, 19), ((3, 12), None, (4, 14)), (4, 13), 1.0),)
    pick = KeyframePick(num, (4, 13), 9, (4, 7, 10, 13), (1, 6, 16), rounds)
    reasoning = Reasoning(text, (cue,) * num_objects, 3, presence=0.9 if num_objects else 0.1)
    trace = Trace("0.1.0", query, "lite", 0, TracedVideo("disc.mp4", num, size), pick, reasoning)
    times = tuple(i / 10 for i in range(num))
    return replace(result_of(trace, masks, times=times, timings_s={"sample": 0.1, "reason": 61.5, "seed": 0.0}), **changes)


def draw(result: SegmentationResult) -> Image.Image:
    return draw_card(result, {i: grey(result.size[1], result.size[0]) for i in card_frames(result)})


def share_of(picture: Image.Image, color: tuple[int, int, int]) -> float:
    return float((np.asarray(picture) == np.array(color)).all(axis=2).mean())


class TestCard:
    def test_pictures_are_stretched_to_square_pixels(self) -> None:
        """A disc as it is stored is twice as wide on a card of a video with pixels of 2:1, and marks stay on it."""
        result = disc_result()
        wide = replace(result, info=replace(result.info, pixel_aspect=(2, 1)))

        def green(of: SegmentationResult) -> tuple[int, int]:
            stored = np.full((90, 160, 3), 128, np.uint8)
            stored[20:70, 40:90] = (0, 255, 0)
            card = np.asarray(draw_card(replace(of, tracks=()), dict.fromkeys(card_frames(of), stored))).astype(int)
            seen = np.argwhere((card[:750] == (0, 255, 0)).all(-1))
            return int(np.ptp(seen[:, 1])) + 1, int(np.ptp(seen[:, 0])) + 1

        width, height = green(result)
        assert width / height == pytest.approx(1, abs=0.05)
        width, height = green(wide)
        assert width / height == pytest.approx(2, abs=0.1)

    def test_asks_for_the_target_frame_and_key_frames(self) -> None:
        assert card_frames(disc_result()) == (4, 7, 9, 10, 13)

    def test_without_stage_1_it_shows_the_whole_clip(self) -> None:
        result = disc_result(keyframes=None, reasoning=None)
        assert card_frames(result) == (0, 4, 8, 11, 15, 19)
        given = replace(result.trace, seed_masks={5: (encode(np.zeros((90, 160), bool)),)})
        assert 5 in card_frames(replace(result, trace=given))

    def test_one_large_page_with_the_object_the_segment_and_the_points(self) -> None:
        card = draw(disc_result())
        assert card.width == 1600
        assert share_of(card, color_of(1)) > 0.003
        assert share_of(card, (255, 190, 46)) > 0.003
        for color in ((22, 163, 74), (220, 38, 38)):
            assert share_of(card, color) > 1e-4

    def test_no_target_says_so_and_marks_nothing(self) -> None:
        none, found = draw(disc_result(num_objects=0)), draw(disc_result())
        assert share_of(none, color_of(1)) == 0
        assert share_of(none, (220, 38, 38)) == 0
        assert share_of(none, (22, 163, 74)) == 0  # the green sign "target found"
        assert share_of(found, (22, 163, 74)) > 0

    def test_a_failed_answer_has_a_red_sign(self) -> None:
        result = disc_result(num_objects=0)
        assert result.reasoning is not None
        assert share_of(draw(replace(result, reasoning=replace(result.reasoning, failed=True))), (220, 38, 38)) > 0

    def test_is_the_same_every_time(self) -> None:
        assert draw(disc_result()).tobytes() == draw(disc_result()).tobytes()

    @pytest.mark.parametrize(
        "words",
        [
            "الجمل الذي يمشي",
            "🐪🏃‍♀️👨‍👩‍👧",
            "走る骆驼 낙타",
            "\ud83d half",
            "tab\tnew\nline\0\x1b[2J",
            "<script>alert(1)</script>",
            "W" * 3000,
            "e\u0301" * 40,
        ],
    )
    def test_no_words_can_break_it(self, words: str) -> None:
        result = disc_result(query=words, text=words * 3)
        card = draw(replace(result, trace=replace(result.trace, preset=words[:9], video=TracedVideo(words[:200], 20, (160, 90)))))
        assert card.width == 1600
        assert card.height < 3000

    @pytest.mark.parametrize("size", [(4096, 64), (64, 2048), (1, 1), (3, 2)])
    def test_any_shape_of_video(self, size: tuple[int, int]) -> None:
        spool = MaskSpool(1, size)
        spool.put(0, np.ones((1, size[1], size[0]), bool))
        result = disc_result()
        shaped = replace(result, size=size, tracks=Track.all_of(spool), num_frames=1, times=(0.0,), keyframes=None)
        assert draw(shaped).width == 1600

    def test_many_objects_and_stages_are_cut(self) -> None:
        result = replace(disc_result(num_objects=30), timings_s={f"stage {k}": float(k) for k in range(40)})
        assert draw(result).height < 2600

    def test_kept_pictures_are_small(self) -> None:
        assert card_picture(grey(2160, 3840)).shape == (1080, 1920, 3)
        assert card_picture(grey(90, 160)).shape == (90, 160, 3)
