"""The parts of lite propagation, each against a plain statement of what it should do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from videoseg_r1.lite.tracking.appearance import AppearanceModel, AppearanceSample
from videoseg_r1.lite.tracking.crop import Crop, crop_around, pixels_for, still_fits
from videoseg_r1.lite.tracking.window import cut_windows, read
from videoseg_r1.xmem import MemoryStore


def _naive_read(query, frames, radius, top_k, temperature):
    """For each cell, collect every stored cell in reach, and mix the best ones."""
    _, rows, columns = query.shape
    out = torch.zeros(len(frames[0][1]), rows, columns)
    for y in range(rows):
        for x in range(columns):
            found = []
            for features, values, valid in frames:
                for v in range(max(0, y - radius[0]), min(rows, y + radius[0] + 1)):
                    for u in range(max(0, x - radius[1]), min(columns, x + radius[1] + 1)):
                        if valid[v, u]:
                            found.append((float(query[:, y, x] @ features[:, v, u]), values[:, v, u]))
            found.sort(key=lambda pair: -pair[0])
            scores = torch.tensor([score for score, _ in found[:top_k]])
            weights = torch.softmax(scores / temperature, 0)
            out[:, y, x] = sum(w * value for w, (_, value) in zip(weights, found[:top_k], strict=True))
    return out


@pytest.mark.parametrize("shape", [(8, 8), (11, 9), (3, 17)])
def test_window_read_equals_the_naive_read(shape):
    generator = torch.Generator().manual_seed(3)
    radius = (2, 3)

    def stored():
        features = F.normalize(torch.randn(6, *shape, generator=generator), dim=0)
        valid = torch.rand(shape, generator=generator) > 0.2
        return features, torch.rand(2, *shape, generator=generator), valid

    frames = [stored(), stored(), stored()]
    query = F.normalize(torch.randn(6, *shape, generator=generator), dim=0)
    got = read(query, [cut_windows(*frame, radius) for frame in frames], radius, top_k=5, temperature=0.07)
    torch.testing.assert_close(got, _naive_read(query, frames, radius, 5, 0.07), atol=1e-5, rtol=1e-5)


def test_window_read_is_finite_when_nothing_is_similar():
    query = F.normalize(torch.ones(4, 8, 8), dim=0)
    memory = [cut_windows(-query, torch.rand(1, 8, 8), torch.zeros(8, 8, dtype=torch.bool), (1, 1))]
    assert torch.isfinite(read(query, memory, (1, 1), 200, 1e-4)).all()


def _three_kinds(num=300):
    """Features of three kinds of cells, and how the background and two objects cover them."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])
    kind = torch.arange(num) % 3
    features = torch.cat([centres[kind] + 0.3 * torch.randn(num, 2, generator=generator), torch.ones(num, 1)], 1)
    return features, F.one_hot(kind, 3).float()


def _sample(features, cover, known=(True, True), seen=(1.0, 1.0)):
    return AppearanceSample(features, cover.T, torch.tensor(known), torch.tensor(seen))


def test_appearance_model_tells_the_objects_from_the_background_and_from_each_other():
    features, cover = _three_kinds()
    model = AppearanceModel(regularisation=1e-3)
    model.fit([_sample(features[:150], cover[:150])], [1.0])
    likely = model.log_probabilities(features[150:]).T
    assert (likely.argmax(1) == cover[150:].argmax(1)).float().mean() > 0.98
    torch.testing.assert_close(likely.exp().sum(1), torch.ones(150))


def test_appearance_model_comes_to_the_minimum_of_its_loss():
    features, cover = _three_kinds(60)
    model = AppearanceModel(regularisation=1e-2, steps=20)
    for _ in range(3):
        model.fit([_sample(features, cover)], [1.0])
    weights = torch.zeros(3, 3, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        each = -(torch.log_softmax(features @ weights, 1) * cover).sum(1)
        value = sum((each * cover[:, k]).sum() / cover[:, k].sum() / 2 for k in range(3)) + 0.5e-2 * weights.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    torch.testing.assert_close(model.log_probabilities(features).T, torch.log_softmax(features @ weights.detach(), 1), atol=1e-3, rtol=0)


def test_a_frame_before_an_object_was_known_does_not_speak_against_it():
    features, cover = _three_kinds()
    unseen = torch.stack([cover[:, 0] + cover[:, 2], cover[:, 1], torch.zeros(300)], 1)
    early = _sample(features[:150], unseen[:150], known=(True, False), seen=(1.0, 0.0))
    late = _sample(features[150:180], cover[150:180])
    model = AppearanceModel(regularisation=1e-3)
    model.fit([early, late], [0.9, 0.1])
    assert (model.log_probabilities(features[180:]).argmax(0) == cover[180:].argmax(1)).float().mean() > 0.95


def test_an_object_that_is_not_known_is_nowhere():
    features, cover = _three_kinds()
    only_one = torch.stack([cover[:, 0] + cover[:, 2], cover[:, 1], torch.zeros(300)], 1)
    model = AppearanceModel(regularisation=1e-3)
    model.fit([_sample(features, only_one, known=(True, False), seen=(1.0, 0.0))], [1.0])
    assert float(model.log_probabilities(features)[2].max()) < -100


def test_appearance_model_needs_examples_first():
    with pytest.raises(RuntimeError, match="fit"):
        AppearanceModel(1e-3).log_probabilities(torch.ones(1, 2))


def test_crop_is_a_multiple_of_the_stride_and_holds_the_object():
    masks = np.zeros((2, 200, 300), bool)
    masks[0, 50:80, 100:140] = True
    masks[1, 60:90, 150:160] = True
    crop = crop_around(masks, max_pixels=40_000, margin=0.5, min_margin=10, max_zoom=1.5)
    assert crop.width % 32 == 0
    assert crop.height % 32 == 0
    assert crop.x1 <= 100
    assert crop.x2 >= 160
    assert crop.y1 <= 50
    assert crop.y2 >= 90
    assert still_fits(crop, masks, crop, reach=5)
    moved = np.roll(masks, 30, axis=2)
    assert not still_fits(crop, moved, crop, reach=20)


def test_empty_masks_mean_the_whole_frame():
    crop = crop_around(np.zeros((1, 120, 160), bool), 10_000, 0.5, 10, 1.5)
    assert (crop.x1, crop.y1, crop.x2, crop.y2) == (0, 0, 160, 120)


def test_small_things_far_apart_ask_for_more_pixels():
    masks = np.zeros((2, 480, 854), bool)
    masks[0, 50:60, 50:60], masks[1, 300:400, 700:800] = True, True
    crop = crop_around(masks, 100_000, 0.5, 48, 4.0)
    more = pixels_for(masks, crop, 16)
    assert more > 4
    large = crop_around(masks, round(100_000 * more), 0.5, 48, 4.0)
    assert pixels_for(masks, large, 16) == pytest.approx(1, abs=0.1)
    assert pixels_for(masks[1:], crop, 16) == 1
    assert pixels_for(masks & False, crop, 16) == 1


def test_cut_enlarges_the_part_and_resample_follows_the_picture():
    crop = Crop(20, 10, 84, 74, 128, 128)
    ramp = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    cut = crop.cut(np.stack([ramp] * 3, -1))
    np.testing.assert_allclose(cut[64, 4:-4, 0], 20 + (np.arange(4, 124) + 0.5) / 2 - 0.5, atol=1.0)
    other = Crop(28, 18, 92, 82, 128, 128)
    plane = torch.arange(16, dtype=torch.float32).expand(1, 16, 16).contiguous()
    moved = other.resample(plane, crop)
    torch.testing.assert_close(moved[0, 4, :13], plane[0, 4, 2:15], atol=1e-4, rtol=0)


def test_memory_keeps_the_first_anchor_and_the_latest_frames():
    store: MemoryStore[int] = MemoryStore(max_recent=3, max_anchors=2)
    store.add(100, anchor=True)
    for value in range(6):
        store.add(value)
    store.add(101, anchor=True)
    store.add(102, anchor=True)
    assert list(store) == [100, 102, 3, 4, 5]
    assert len(store) == 5
