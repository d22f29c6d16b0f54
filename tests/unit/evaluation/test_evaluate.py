"""Averages, missing predictions, absent targets, sparse truth, the control, two predictors, and the form of the report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videoseg_r1.datasets.clip import ABSENT, Clip, Expression, TrueMasks
from videoseg_r1.datasets.controls import shuffle_text
from videoseg_r1.datasets.sample import Sample
from videoseg_r1.datasets.true_masks import PngMasks
from videoseg_r1.errors import InputError, InvalidDocument, InvalidQuery, ModelError
from videoseg_r1.evaluation import Prediction, Report, by_text, evaluate, from_preds, score_png_folders
from videoseg_r1.metrics import jf
from videoseg_r1.types import KeyframePick
from videoseg_r1.video import open_video

HEIGHT, WIDTH = 30, 50


@dataclass(frozen=True, eq=False)
class ArrayMasks(TrueMasks):
    """True masks of one object in memory, some frames known, some pixels ignored, that count how often one is read."""

    array: np.ndarray
    reads: list[int]
    known: tuple[int, ...] | None = None
    void: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.array.shape[2], self.array.shape[1]

    def frames(self, object_ids: Sequence[str]) -> Sequence[int]:
        return range(len(self.array)) if self.known is None else self.known

    def read(self, object_ids: Sequence[str], index: int) -> np.ndarray:
        self.reads.append(index)
        return np.repeat(self.array[index][None], len(object_ids), axis=0)

    def ignored(self, index: int) -> np.ndarray | None:
        return self.void


def moving_square(num_frames: int, top: int = 5) -> np.ndarray:
    masks = np.zeros((num_frames, HEIGHT, WIDTH), bool)
    for index, mask in enumerate(masks):
        mask[top : top + 10, 4 + 2 * index : 16 + 2 * index] = True
    return masks


def make_sample(video: str = "ant", expression: str = "0", kind: str = "referring", num_frames: int = 5) -> Sample:
    masks = moving_square(num_frames, 4 + ord(video[0]) % 7)
    if kind == "absent":
        masks[:] = False
    frames = np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    asked = Expression(expression, f"{video} {kind} {expression}", () if kind == ABSENT else ("1",), kind)
    names = tuple(f"{index:05d}" for index in range(num_frames))
    clip = Clip("drawn", "all", video, names, partial(open_video, frames), (asked,), ArrayMasks(masks, []))
    return Sample(clip, asked, (video,))


def truth(sample: Sample) -> ArrayMasks:
    assert isinstance(sample.clip.masks, ArrayMasks)
    return sample.clip.masks


def with_truth(sample: Sample, masks: TrueMasks) -> Sample:
    return replace(sample, clip=replace(sample.clip, masks=masks))


def perfect(sample: Sample) -> Prediction:
    return Prediction(((index, sample.mask(index)) for index in range(sample.num_frames)), target_frame=2)


def shifted(sample: Sample, distance: int = 3) -> Prediction:
    return Prediction((index, np.roll(sample.mask(index), distance, axis=1)) for index in range(sample.num_frames))


def nothing(sample: Sample) -> Prediction:
    return Prediction((index, np.zeros((HEIGHT, WIDTH), bool)) for index in range(sample.num_frames))


@dataclass
class FakeResult:
    masks: np.ndarray
    keyframes: KeyframePick | None = None

    @property
    def num_frames(self) -> int:
        return len(self.masks)

    def mask(self, frame_index: int) -> np.ndarray:
        return self.masks[frame_index]


class FakeSegmenter:
    """Finds the ant's square where the text says "ant"."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def segment(self, video, query: str, *, seed: int = 0) -> FakeResult:
        self.calls.append((query, seed))
        found = moving_square(video.num_frames, 4 + ord(query[0]) % 7)
        return FakeResult(found, KeyframePick(video.num_frames, (0, 1), 1, (0,), (0,)))


# ---- averages ----


def test_a_perfect_prediction_scores_one() -> None:
    report = evaluate([make_sample(), make_sample("bee")], perfect).to_dict()
    assert (report["J"], report["F"], report["J&F"], report["num_expressions"]) == (1.0, 1.0, 1.0, 2)
    assert report["kinds"] == {"referring": {"J": 1.0, "F": 1.0, "J&F": 1.0}}
    assert (report["missing"], report["failed"]) == (0, 0)


def test_frames_are_averaged_first_and_expressions_second() -> None:
    """Clips of different length weigh the same."""
    samples = [make_sample("ant", num_frames=2), make_sample("bee", num_frames=8)]
    report = evaluate(samples, lambda s: perfect(s) if s.video_id == "ant" else shifted(s), bound=1)
    expected = [np.mean([jf(np.roll(m, 3, axis=1), m, 1) for m in truth(samples[1]).array], axis=0), (1.0, 1.0)]
    j, f = np.mean(expected, axis=0)
    assert report.scores() == {"J": pytest.approx(j), "F": pytest.approx(f), "J&F": pytest.approx((j + f) / 2)}
    assert 0 < f < 1
    assert report.rows[1].j == pytest.approx(expected[0][0])


def test_kinds_are_averaged_apart_and_the_total_is_over_expressions_not_kinds() -> None:
    samples = [make_sample(expression="0"), make_sample(expression="1"), make_sample(expression="2", kind="motion")]
    report = evaluate(samples, lambda s: nothing(s) if s.kind == "motion" else perfect(s)).to_dict()
    assert report["kinds"] == {"referring": {"J": 1, "F": 1, "J&F": 1}, "motion": {"J": 0, "F": 0, "J&F": 0}}
    assert report["J"] == pytest.approx(2 / 3)


def test_clips_the_least_target_small_ones_and_the_decay_are_told() -> None:
    samples = [make_sample("ant"), make_sample("ant", "1", "motion"), make_sample("bee", "0"), make_sample("bee", "1", "absent")]
    tiny = truth(samples[2]).array
    tiny[:] = False
    tiny[:, 3, 4:8] = True  # 4 of 1500 pixels

    def predict(sample: Sample) -> Prediction:
        if sample.video_id == "bee":
            return Prediction([(index, mask if index < 2 else ~mask & mask) for index, mask in perfect(sample).masks])
        return perfect(sample)

    report = evaluate(samples, predict).to_dict()
    assert report["clips"]["ant"] == {"J": 1.0, "F": 1.0, "J&F": 1.0}
    assert report["clips"]["bee"] == {"J": 0.4, "F": 0.4, "J&F": 0.4}
    assert report["small"] == {"J": 0.4, "F": 0.4, "J&F": 0.4, "num": 1}
    assert report["least"] == {"video": "bee", "expression": "0", "J&F": 0.4}
    assert report["samples"][2]["J_decay"] == report["samples"][2]["F_decay"] == 1.0
    assert report["decay"] == {"J": pytest.approx(1 / 3), "F": pytest.approx(1 / 3)}


def test_the_first_and_last_frames_count() -> None:
    def without_ends(sample: Sample) -> Prediction:
        return Prediction((i, m) for i, m in perfect(sample).masks if 0 < i < 4)

    assert evaluate([make_sample()], without_ends).scores()["J"] == pytest.approx(3 / 5)


def test_frames_may_come_in_any_order() -> None:
    report = evaluate([make_sample()], lambda s: Prediction(reversed(list(perfect(s).masks))))
    assert report.scores()["J&F"] == 1.0


# ---- missing, absent, timing ----


def test_a_missing_frame_is_an_empty_mask_and_is_counted() -> None:
    report = evaluate([make_sample()], lambda s: Prediction(list(perfect(s).masks)[:3]))
    assert report.scores()["J"] == pytest.approx(3 / 5)
    assert report.rows[0].missing == 2
    assert report.to_dict()["missing"] == 2


def test_a_missing_frame_is_right_where_the_truth_is_empty() -> None:
    sample = make_sample()
    truth(sample).array[3:] = False
    assert evaluate([sample], lambda s: Prediction(list(perfect(s).masks)[:3])).scores() == {"J": 1.0, "F": 1.0, "J&F": 1.0}


def test_absent_targets_are_reported_apart() -> None:
    samples = [make_sample(), make_sample(expression="1", kind="absent"), make_sample("bee", "2", "absent")]
    report = evaluate(samples, lambda s: shifted(make_sample()) if s.video_id == "bee" else nothing(s)).to_dict()
    assert report["absent"] == {"num": 2, "abstained": 1}
    assert (report["num_expressions"], report["J"]) == (1, 0.0)
    assert list(report["kinds"]) == ["referring"]
    assert [(row["J"], row["abstained"]) for row in report["samples"]] == [(0.0, True), (None, True), (None, False)]


def test_one_pixel_in_one_frame_is_no_abstention() -> None:
    sample = make_sample(kind="absent")
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[0, 0] = True
    assert not evaluate([sample], lambda s: Prediction([(4, mask)])).rows[0].abstained
    assert evaluate([sample], lambda s: Prediction([(4, ~mask & mask)])).rows[0].abstained


def test_nothing_to_score_has_no_mean() -> None:
    assert evaluate([], perfect).to_dict()["J&F"] is None
    report = evaluate([make_sample(kind="absent")], nothing).to_dict()
    assert (report["J"], report["F"], report["kinds"], report["num_expressions"]) == (None, None, {}, 0)


def test_predictions_are_timed_and_scoring_is_not() -> None:
    class SlowMasks(ArrayMasks):
        def read(self, object_ids: Sequence[str], index: int) -> np.ndarray:
            time.sleep(0.05)
            return super().read(object_ids, index)

    sample = make_sample(num_frames=4)
    sample = with_truth(sample, SlowMasks(truth(sample).array, []))

    def slow(s: Sample) -> Prediction:
        time.sleep(0.02)
        return Prediction((i, time.sleep(0.01) or mask) for i, mask in enumerate(truth(s).array))

    report = evaluate([sample], slow)
    assert 0.06 <= report.rows[0].seconds < 0.15
    assert report.seconds_per_frame == pytest.approx(report.rows[0].seconds / 4)


def test_expressions_of_one_clip_read_its_true_masks_once() -> None:
    first = make_sample()
    again = replace(first, expression=replace(first.expression, id="1", text="the same ant"))
    report = evaluate([first, again], lambda s: Prediction(enumerate(np.roll(truth(s).array, 1, axis=2))))
    assert sorted(truth(first).reads) == [0, 1, 2, 3, 4]
    assert report.rows[0].j == report.rows[1].j


def test_a_full_cache_changes_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [make_sample(expression=str(k)) for k in range(3)]
    expected = [(row.j, row.f) for row in evaluate(samples, shifted).rows]
    monkeypatch.setattr("videoseg_r1.evaluation.scoring._CACHE_BYTES", 3000)
    assert [(row.j, row.f) for row in evaluate(samples, shifted).rows] == expected
    monkeypatch.setattr("videoseg_r1.evaluation.scoring._CACHE_BYTES", 0)
    assert [(row.j, row.f) for row in evaluate(samples, shifted).rows] == expected


# ---- sparse truth, pixels that do not count, no truth ----


def test_only_frames_with_a_true_mask_are_scored() -> None:
    whole = make_sample()
    sparse = with_truth(whole, replace(truth(whole), known=(1, 4)))
    wrong_elsewhere = [(index, mask if index in (1, 4) else ~mask) for index, mask in perfect(whole).masks]
    row = evaluate([sparse], lambda _: Prediction(wrong_elsewhere)).rows[0]
    assert (row.j, row.f, row.missing) == (1.0, 1.0, 0)
    row = evaluate([sparse], lambda _: Prediction(wrong_elsewhere[:3])).rows[0]
    assert (row.j, row.missing) == (0.5, 1)


def test_ignored_pixels_count_neither_as_right_nor_as_wrong() -> None:
    sample = make_sample()
    void = np.zeros((HEIGHT, WIDTH), bool)
    void[:, :12] = True
    predict = lambda s: Prediction((index, s.mask(index) ^ void) for index in range(s.num_frames))  # noqa: E731
    assert evaluate([sample], predict).scores()["J"] < 0.7
    assert evaluate([with_truth(sample, replace(truth(sample), void=void))], predict).scores() == {"J": 1.0, "F": 1.0, "J&F": 1.0}


def test_a_clip_without_true_masks_cannot_be_scored() -> None:
    sample = make_sample()
    with pytest.raises(InputError, match="drawn/ant"):
        evaluate([replace(sample, clip=replace(sample.clip, masks=None))], nothing)


def test_a_fault_in_the_true_masks_is_not_one_of_the_prediction(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"no picture")
    sample = with_truth(make_sample(num_frames=1), PngMasks({0: tmp_path / "0.png"}))
    with pytest.raises(InvalidDocument, match=r"0\.png"):
        evaluate([sample], lambda _: Prediction([(0, np.zeros((HEIGHT, WIDTH), bool))]))


# ---- errors of the predictor ----


@pytest.mark.parametrize("error", [InvalidQuery("too long"), "shape", "twice", "beyond"])
def test_a_bad_sample_counts_as_empty_and_leaves_the_others_alone(error: InvalidQuery | str) -> None:
    def predict(sample: Sample) -> Prediction:
        masks = list(perfect(sample).masks)
        if sample.video_id == "ant":
            return Prediction(masks)
        if isinstance(error, InvalidQuery):
            raise error
        bad = {"shape": (1, masks[1][1][:, :-1]), "twice": masks[0], "beyond": (5, masks[0][1])}[error]
        return Prediction([masks[0], bad])

    report = evaluate([make_sample("bee"), make_sample("ant"), make_sample("bee", "9", "absent")], predict)
    assert report.num_failed == 2
    assert [row.j for row in report.rows] == [pytest.approx(0 if isinstance(error, InvalidQuery) else 1 / 5), 1.0, None]
    assert report.rows[0].error is not None
    assert not report.rows[2].abstained
    assert "error" in report.to_dict()["samples"][0]
    assert "error" not in report.to_dict()["samples"][1]
    if error == "shape":
        assert report.rows[0].error["where"] == "bee/0, frame 1"


def test_errors_that_hit_every_sample_are_raised() -> None:
    def broken(sample: Sample) -> Prediction:
        raise ModelError("no weights")

    with pytest.raises(ModelError):
        evaluate([make_sample()], broken)


# ---- the report ----


def test_the_report_is_json_with_these_keys() -> None:
    seen = []
    report = evaluate([make_sample()], perfect, settings={"preset": "lite"}, on_row=seen.append)
    plain = json.loads(json.dumps(report.to_dict()))
    assert set(plain) == {
        *("J", "F", "J&F", "num_expressions", "decay", "least", "kinds", "clips", "small", "absent", "seconds_per_frame", "settings"),
        *("missing", "failed", "samples"),
    }
    assert plain["settings"] == {"bound": 0.008, "preset": "lite"}
    row = plain["samples"][0]
    assert row.pop("seconds") >= 0
    assert row == {
        "video": "ant",
        "expression": "0",
        "kind": "referring",
        "query": "ant referring 0",
        "num_frames": 5,
        "J": 1.0,
        "F": 1.0,
        "J_decay": 0.0,
        "F_decay": 0.0,
        "area": 120 / (HEIGHT * WIDTH),
        "target_frame": 2,
        "abstained": False,
        "missing": 0,
    }
    assert seen == list(report.rows)


def test_the_control_comes_with_the_gap() -> None:
    samples = [make_sample(name, kind=kind) for name in ("ant", "bee", "cow") for kind in ("referring", "motion")]
    predict = by_text(FakeSegmenter())
    report, control = evaluate(samples, predict), evaluate(shuffle_text(samples), predict)
    plain = json.loads(json.dumps(report.to_dict(control)))
    assert plain["J"] == 1.0
    assert set(plain["control"]) == {"J", "F", "J&F", "kinds"}
    assert set(plain["control"]["kinds"]) == {"referring", "motion"}
    assert plain["control"]["J"] < 0.95
    assert plain["gap"] == {key: pytest.approx(1 - plain["control"][key]) for key in ("J", "F", "J&F")}
    assert control.to_dict()["samples"][0]["query_from"].split("/")[0] != "ant"


def test_a_control_without_scores_has_no_gap() -> None:
    plain = evaluate([make_sample()], perfect).to_dict(Report(()))
    assert plain["gap"] == {"J": None, "F": None, "J&F": None}


# ---- predictors ----


def test_by_text_hands_on_query_and_seed_and_reports_the_target_frame() -> None:
    segmenter = FakeSegmenter()
    report = evaluate([make_sample(), make_sample("bee")], by_text(segmenter, seed=7))
    assert segmenter.calls == [("ant referring 0", 7), ("bee referring 0", 7)]
    assert report.scores()["J"] == 1.0
    assert report.rows[0].target_frame == 1


def write_masks(folder: Path, masks: np.ndarray, *, palette: bool = False) -> None:
    folder.mkdir(parents=True)
    for index, mask in enumerate(masks):
        image = Image.fromarray(mask.astype(np.uint8) * (1 if palette else 255))
        if palette:
            image = image.convert("P")
            image.putpalette([0, 0, 0] * 256)
        image.save(folder / f"{index:05d}.png")


@pytest.mark.parametrize("palette", [False, True])
def test_folders_per_expression(tmp_path: Path, palette: bool) -> None:
    samples = [make_sample(expression="0"), make_sample(expression="7"), make_sample(expression="9", kind="absent")]
    write_masks(tmp_path / "ant" / "0", truth(samples[0]).array, palette=palette)
    write_masks(tmp_path / "ant" / "7", np.roll(truth(samples[0]).array, 3, axis=2)[:4], palette=palette)
    report = evaluate(samples, from_preds(tmp_path, samples))
    again = evaluate(
        samples, lambda s: Prediction(list((perfect if s.expression_id == "0" else shifted)(s).masks)[: 4 + (s.expression_id == "0")])
    )
    assert [row.j for row in report.rows] == [row.j for row in again.rows]
    assert [row.f for row in report.rows] == [row.f for row in again.rows]
    assert [row.missing for row in report.rows] == [0, 1, 5]
    assert report.rows[2].abstained


def test_one_folder_of_a_video_serves_all_its_expressions(tmp_path: Path) -> None:
    samples = [make_sample(expression="0"), make_sample(expression="1", kind="absent"), make_sample("bee")]
    write_masks(tmp_path / "ant", truth(samples[0]).array)
    report = evaluate(samples, from_preds(tmp_path, samples))
    assert [row.j for row in report.rows] == [1.0, None, 0.0]
    assert [row.missing for row in report.rows] == [0, 0, 5]
    assert report.to_dict()["absent"] == {"num": 1, "abstained": 0}


def test_two_folder_trees_are_scored_clip_by_clip(tmp_path: Path) -> None:
    ant, bee = moving_square(4), moving_square(6, 9)
    write_masks(tmp_path / "gold" / "ant", ant)
    write_masks(tmp_path / "gold" / "bee", bee, palette=True)
    write_masks(tmp_path / "pred" / "ant", np.roll(ant, 2, axis=1))
    report = score_png_folders(tmp_path / "pred", tmp_path / "gold", bound=1)
    assert [row.sample.video_id for row in report.rows] == ["ant", "bee"]
    expected = np.mean([jf(np.roll(mask, 2, axis=0), mask, 1) for mask in ant], axis=0)
    assert (report.rows[0].j, report.rows[0].f) == pytest.approx(tuple(expected))
    assert (report.rows[1].j, report.rows[1].missing) == (0.0, 6)
    assert report.settings["bound"] == 1
