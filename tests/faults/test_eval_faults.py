"""What evaluation does with bad folders of predictions and bad true masks: all problems named at once, nothing scored by guess."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.shapes import rectangle
from videoseg_r1.datasets.clip import Clip, Expression
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.datasets.true_masks import PngMasks
from videoseg_r1.errors import InvalidDocument, SourceNotFound
from videoseg_r1.evaluation import Prediction, evaluate, from_preds, score_png_folders
from videoseg_r1.video import open_video

SIZE = (40, 24)
SQUARE = rectangle(SIZE, 8, 6, 30, 18).astype(np.uint8) * 255
NUM_FRAMES = 4


def png(mask: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(mask).save(data, "PNG")
    return data.getvalue()


def make_sample(root: Path, video: str, expression: str = "0") -> Sample:
    folder = root / "gold" / video
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{index:05d}.png" for index in range(NUM_FRAMES))
    for path in paths:
        path.write_bytes(png(SQUARE))
    names = tuple(path.stem for path in paths)
    asked = Expression(expression, "it", ("1",))
    clip = Clip("drawn", "all", video, names, partial(open_video, folder), (asked,), PngMasks(dict(enumerate(paths))))
    return Sample(clip, asked, (video,))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return [make_sample(tmp_path, "ant", "0"), make_sample(tmp_path, "ant", "1"), make_sample(tmp_path, "bee")]


@pytest.fixture
def preds(tmp_path: Path, samples: list[Sample]) -> Path:
    root = tmp_path / "preds"
    for sample in samples:
        folder = root / sample.video_id / sample.expression_id
        folder.mkdir(parents=True)
        for name in sample.frame_names:
            (folder / f"{name}.png").write_bytes(png(SQUARE))
    return root


def test_good_folders_are_scored(preds: Path, samples: list[Sample]) -> None:
    assert evaluate(samples, from_preds(preds, samples)).scores()["J&F"] == 1.0


def test_all_problems_come_in_one_error(preds: Path, samples: list[Sample]) -> None:
    (preds / "cow").mkdir()
    (preds / "results.zip").write_bytes(b"x")
    (preds / "ant" / "2").mkdir()
    (preds / "ant" / "00000.png").write_bytes(png(SQUARE))
    (preds / "ant" / "0" / "00004.png").write_bytes(png(SQUARE))
    (preds / "ant" / "0" / "00001.png").write_bytes(png(SQUARE[:-1]))
    (preds / "ant" / "1" / "00001.png").write_bytes(b"")
    (preds / "bee" / "0" / "00002.png").write_bytes(png(np.stack([SQUARE] * 3, axis=-1)))
    (preds / "bee" / "0" / "00003.png").write_bytes(png(SQUARE.astype(np.uint16) * 257))
    with pytest.raises(InvalidDocument) as caught:
        from_preds(preds, samples)
    message = str(caught.value)
    expected = {
        "unknown video": ("cow", "results.zip"),
        "unknown expression": ("ant/2",),
        "a file beside the folders of expressions": ("ant/00000.png",),
        "unknown frame": ("ant/0/00004.png",),
        "wrong size": ("ant/0/00001.png: 40 x 23 pixels instead of 40 x 24",),
        "not a PNG file": ("ant/1/00001.png",),
        "not a mask file": ("bee/0/00002.png", "bee/0/00003.png"),
    }
    for what, places in expected.items():
        for place in places:
            assert f"{what}: {preds}/{place}" in message


def test_system_files_are_overlooked(preds: Path, samples: list[Sample]) -> None:
    (preds / "__MACOSX").mkdir()
    (preds / ".DS_Store").write_bytes(b"x")
    (preds / "bee" / "0" / "Thumbs.db").write_bytes(b"x")
    (preds / "ant" / ".DS_Store").write_bytes(b"x")
    assert evaluate(samples, from_preds(preds, samples)).scores()["J&F"] == 1.0


def test_a_part_of_the_benchmark_can_be_scored(preds: Path, samples: list[Sample]) -> None:
    assert evaluate(samples[2:], from_preds(preds, samples)).to_dict()["num_expressions"] == 1


@pytest.mark.parametrize(
    "make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"x"), lambda p: (p / "ant" / "0").mkdir(parents=True)]
)
def test_no_predictions_at_all_are_an_error_and_not_a_zero(tmp_path: Path, samples: list[Sample], make) -> None:
    make(tmp_path / "empty")
    with pytest.raises(SourceNotFound, match="no predictions"):
        from_preds(tmp_path / "empty", samples)


DAMAGE = {
    "cut in the middle": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-12],
    "with a flipped bit": lambda data: data[:60] + bytes([data[60] ^ 16]) + data[61:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_prediction_fails_its_sample_only(preds: Path, samples: list[Sample], damage) -> None:
    path = preds / "ant" / "1" / "00002.png"
    path.write_bytes(damage(path.read_bytes()))
    report = evaluate(samples, from_preds(preds, samples))
    assert [row.j for row in report.rows] == [1.0, pytest.approx(2 / 4), 1.0]
    assert report.num_failed == 1
    assert report.rows[1].error == report.rows[1].error | {"error": "InvalidDocument", "where": str(path)}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_palette_prediction_is_noticed(preds: Path, samples: list[Sample], damage) -> None:
    data = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 2, SIZE[::-1]).astype(np.uint8)).convert("P")
    image.save(data, "PNG")
    good = data.getvalue()
    path = preds / "ant" / "1" / "00002.png"
    path.write_bytes(good)
    assert evaluate(samples, from_preds(preds, samples)).num_failed == 0
    path.write_bytes(damage(good))
    assert evaluate(samples, from_preds(preds, samples)).num_failed == 1


def test_soft_masks_are_refused_and_not_thresholded_by_guess(preds: Path, samples: list[Sample]) -> None:
    soft = SQUARE.copy()
    soft[6, 8:20] = np.arange(12)
    (preds / "bee" / "0" / "00000.png").write_bytes(png(soft))
    error = evaluate(samples, from_preds(preds, samples)).rows[2].error
    assert error is not None
    assert error["why"] == "it has more than two grey levels"


@pytest.mark.parametrize("value", [1, 128, 255])
def test_any_single_grey_level_is_the_object(preds: Path, samples: list[Sample], value: int) -> None:
    for path in (preds / "bee" / "0").iterdir():
        path.write_bytes(png(SQUARE // 255 * value))
    assert evaluate(samples, from_preds(preds, samples)).scores()["J&F"] == 1.0


def test_a_prediction_that_vanishes_between_check_and_reading_is_named(preds: Path, samples: list[Sample]) -> None:
    predict = from_preds(preds, samples)
    masks = iter(predict(samples[2]).masks)
    next(masks)
    (preds / "bee" / "0" / "00001.png").write_bytes(b"")
    with pytest.raises(InvalidDocument, match=r"bee/0/00001\.png"):
        next(masks)


def test_damaged_true_masks_stop_the_evaluation(samples: list[Sample]) -> None:
    masks = samples[0].clip.masks
    assert isinstance(masks, PngMasks)
    masks.paths[3].write_bytes(masks.paths[3].read_bytes()[:-20])
    with pytest.raises(InvalidDocument, match=r"ant/00003\.png"):
        evaluate(samples, lambda s: Prediction(()))


def test_an_object_number_that_a_grey_mask_cannot_have_is_refused(samples: list[Sample]) -> None:
    masks = samples[0].clip.masks
    assert isinstance(masks, PngMasks)
    with pytest.raises(InvalidDocument, match="object 2"):
        masks.read(["2"], 0)


def test_folder_scores_name_every_damaged_file(tmp_path: Path, samples: list[Sample]) -> None:
    for sample in samples:
        folder = tmp_path / "flat" / sample.video_id
        folder.mkdir(parents=True, exist_ok=True)
        for name in sample.frame_names:
            (folder / f"{name}.png").write_bytes(png(SQUARE))
    assert score_png_folders(tmp_path / "flat", tmp_path / "gold").scores()["J&F"] == 1.0
    for video in ("ant", "bee"):
        path = tmp_path / "flat" / video / "00001.png"
        path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InvalidDocument, match=r"(?s)ant/00001\.png.*bee/00001\.png"):
        score_png_folders(tmp_path / "flat", tmp_path / "gold")


def test_folder_scores_without_true_masks(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(SourceNotFound, match="no true masks"):
        score_png_folders(tmp_path, tmp_path / "nowhere")
    (tmp_path / "gold" / "cow").mkdir()
    with pytest.raises(InvalidDocument, match="cow"):
        score_png_folders(tmp_path, tmp_path / "gold")


def test_a_video_named_like_a_path_does_not_leave_the_folder(preds: Path, samples: list[Sample]) -> None:
    (preds / "ant" / "0" / "sub").mkdir()
    with pytest.raises(InvalidDocument, match="unknown frame"):
        from_preds(preds, samples)
