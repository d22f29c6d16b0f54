"""The outline network: what it returns, and that it sharpens what is coarse and leaves alone what is right.

The pictures are drawn here, from silhouettes and surfaces of the drawn world; the network saw others of these, never the same.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers.lite_things import CPU
from videoseg_r1.errors import ModelError, WeightsMissing
from videoseg_r1.lite.perception.backbone import load_backbone, prepare
from videoseg_r1.lite.tracking import outline
from videoseg_r1.lite.tracking.crop import CELL
from videoseg_r1.lite.tracking.outline import OutlineNetwork, load_outline, outline_weights, sharpened
from videoseg_r1.training.world.sprites import silhouette, smooth_noise, texture

SIDE = 160
SHAPES = ("beast", "person", "bird", "cycle", "plane", "bug")


def drawn(shape: str) -> tuple[np.ndarray, np.ndarray]:
    """A thing over a cloudy ground, (SIDE, SIDE, 3) uint8, slightly blurred, and its mask."""
    rng = np.random.default_rng([2911, SHAPES.index(shape)])
    ground = 110 + 40 * smooth_noise(rng, SIDE, 7)[..., None] + rng.uniform(-30, 30, 3) + rng.normal(0, 4, (SIDE, SIDE, 1))
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[30:126, 24:136] = silhouette(shape, 112, 96, False)
    skin = cv2.resize(texture(rng, ["orange", "black"]), (SIDE, SIDE))
    picture = np.where(mask[..., None], skin, ground)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.7), 0, 255).astype(np.uint8), mask


def cells_of(mask: np.ndarray, sure: float) -> torch.Tensor:
    """Log odds (1, 1, rows, columns) of the share of each cell that a mask covers."""
    share = cv2.resize(mask.astype(np.float32), (SIDE // CELL, SIDE // CELL), interpolation=cv2.INTER_AREA)
    return torch.logit(torch.from_numpy(share).clamp(0.01, 0.99))[None, None] * sure


@torch.inference_mode()
def refined(picture: np.ndarray, odds: torch.Tensor) -> torch.Tensor:
    images = prepare(picture, picture.shape[1::-1], CPU)
    return load_outline(CPU)(odds, images, load_backbone(CPU).features(images, num_stages=5))


def iou(odds: torch.Tensor, mask: np.ndarray) -> float:
    full = F.interpolate(odds, mask.shape, mode="bilinear", align_corners=False)[0, 0].numpy() > 0
    return float((full & mask).sum() / (full | mask).sum())


def mean_iou_before_and_after(spoil) -> tuple[float, float]:
    scores = []
    for shape in SHAPES:
        picture, mask = drawn(shape)
        odds = spoil(mask)
        scores.append((iou(odds, mask), iou(refined(picture, odds), mask)))
    before, after = np.mean(scores, 0)
    return float(before), float(after)


def blurred(mask: np.ndarray) -> torch.Tensor:
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 5)
    return cells_of(np.roll(soft, (3, -3), (0, 1)), 1.0)


def test_log_odds_come_back_at_half_the_size_of_the_picture_also_for_odd_grids():
    picture = np.random.default_rng(0).integers(0, 255, (104, 136, 3)).astype(np.uint8)
    out = refined(picture, torch.zeros(1, 1, 13, 17))
    assert out.shape == (1, 1, 52, 68)
    assert out.dtype == torch.float32
    assert bool(out.isfinite().all())


def test_the_same_picture_gives_the_same_bytes():
    picture, mask = drawn("beast")
    assert torch.equal(refined(picture, blurred(mask)), refined(picture, blurred(mask)))


def test_an_untrained_network_returns_what_it_got():
    maps = [torch.randn(1, c, 64 // s, 64 // s) for c, s in ((16, 2), (24, 4), (48, 8), (88, 16), (120, 16))]
    odds = torch.randn(1, 1, 8, 8)
    out = OutlineNetwork()(odds, torch.randn(1, 3, 64, 64), maps)
    assert torch.equal(out, F.interpolate(odds, (32, 32), mode="bilinear", align_corners=False))


def test_a_blurred_and_shifted_mask_is_sharpened():
    before, after = mean_iou_before_and_after(blurred)
    assert after > before + 0.03, (before, after)


def test_the_true_mask_on_cells_is_not_made_worse():
    before, after = mean_iou_before_and_after(lambda mask: cells_of(mask, 2.0))
    assert after > before, (before, after)
    assert after > 0.9


def test_nothing_stays_nothing_and_everything_everything():
    picture, _ = drawn("person")
    for sign in (-1, 1):
        out = refined(picture, torch.full((1, 1, SIDE // CELL, SIDE // CELL), sign * 6.0))
        assert float((out.sign() == sign).float().mean()) > 0.99


@torch.inference_mode()
def test_only_the_outline_is_sharpened_and_only_its_surroundings_are_looked_at():
    picture, mask = drawn("beast")
    wide = np.pad(picture, ((0, 0), (0, 320), (0, 0)), mode="edge")
    odds = F.pad(blurred(mask), (0, 40), value=-5.0)[0, 0]
    images = prepare(wide, wide.shape[1::-1], CPU)
    maps = load_backbone(CPU).features(images, num_stages=5)
    sharp = sharpened(odds, images, maps, load_outline(CPU))
    plain = F.interpolate(odds[None, None], wide.shape[:2], mode="bilinear", align_corners=False)[0]
    assert sharp.shape == (1, SIDE, SIDE + 320)
    assert iou(sharp[None, :, :, :SIDE], mask) > iou(plain[None, :, :, :SIDE], mask) + 0.02
    assert torch.equal(sharp[:, :, SIDE + CELL :], plain[:, :, SIDE + CELL :])
    for far in maps:  # the right third is not looked at
        far[..., far.shape[3] * 2 // 3 :] = torch.nan
    assert torch.equal(sharpened(odds, images, maps, load_outline(CPU)), sharp)


@torch.inference_mode()
def test_without_an_outline_the_network_is_not_asked():
    odds = torch.full((8, 8), -3.0)
    sharp = sharpened(
        odds,
        torch.zeros(1, 3, 64, 64),
        [torch.full((1, 1, 64 // side, 64 // side), torch.nan) for side in (2, 4, 8, 16, 16)],
        load_outline(CPU),
    )
    torch.testing.assert_close(sharp, torch.full((1, 64, 64), -3.0))


def test_the_weights_are_small():
    assert outline_weights().stat().st_size < 1_000_000


def test_missing_and_foreign_weights_are_named(monkeypatch, tmp_path):
    file = tmp_path / "outline.safetensors"
    monkeypatch.setattr(outline, "outline_weights", lambda: file)
    with pytest.raises(WeightsMissing, match="missing"):
        load_outline.__wrapped__(CPU)
    file.write_bytes(b"\x0a\x05hello")
    with pytest.raises(ModelError, match="cannot be read"):
        load_outline.__wrapped__(CPU)
