"""True first masks of several objects given at once: what is given, what is scored and from where on, kept label maps, one run a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.drawn_davis import draw_davis
from helpers.drawn_davis import load as load_single
from helpers.drawn_davis17 import LATE, LENGTH, draw_davis17, labels_of
from videoseg_r1.datasets.controls import mosaic
from videoseg_r1.datasets.davis import load_davis17
from videoseg_r1.datasets.sample import Sample, samples_of
from videoseg_r1.errors import InputError, InvalidDocument
from videoseg_r1.evaluation import by_given_mask, evaluate, evaluate_given, from_label_maps, given_samples
from videoseg_r1.evaluation.given import SinceFirst, first_targets
from videoseg_r1.evaluation.report import OBJECT
from videoseg_r1.evaluation.run import Selection, run_evaluation
from videoseg_r1.masks import VOID, davis_palette, label_map, write_label_png
from videoseg_r1.metrics import jf
from videoseg_r1.types import BoolMask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_davis17(tmp_path / "root")


@pytest.fixture
def samples(root: Path) -> list[Sample]:
    return given_samples(samples_of(load_davis17(root)))


@dataclass
class Labels:
    """What a fake propagator found."""

    maps: list[np.ndarray]

    @property
    def num_frames(self) -> int:
        return len(self.maps)

    def label_map(self, frame_index: int) -> np.ndarray:
        return self.maps[frame_index]


@dataclass
class StandingStill:
    """Leaves every mask where it was given, in all frames, also those before."""

    given: list[Mapping[int, Mapping[int, BoolMask]]] = field(default_factory=list)

    def propagate(self, video, given: Mapping[int, Mapping[int, BoolMask]]) -> Labels:
        self.given.append(given)
        masks = {number: mask for own in given.values() for number, mask in own.items()}
        return Labels([label_map(np.stack(list(masks.values())), list(masks))] * video.num_frames)


@dataclass
class Knowing:
    """Knows the true label maps of a clip."""

    clip: str

    def propagate(self, video, given: Mapping[int, Mapping[int, BoolMask]]) -> Labels:
        return Labels([np.where(labels_of(self.clip, index) == VOID, 0, labels_of(self.clip, index)) for index in range(video.num_frames)])


def of_clip(samples: list[Sample], clip: str) -> list[Sample]:
    return [sample for sample in samples if sample.video_id == clip]


# ---- what is scored ----


def test_expressions_with_a_target_come_with_every_object_behind_them(samples: list[Sample]) -> None:
    assert [(s.video_id, s.kind, ",".join(s.expression.object_ids)) for s in samples] == [
        ("fox", "referring", "2"),
        ("fox", "motion", "7"),
        ("fox", "several", "2,7"),
        ("fox", "reasoning", "2"),
        ("fox", OBJECT, "2"),
        ("fox", OBJECT, "5"),
        ("fox", OBJECT, "7"),
        ("gnu", "referring", "1"),
        ("gnu", OBJECT, "1"),
    ]


def test_a_target_is_scored_from_the_first_frame_that_shows_one_of_its_objects(samples: list[Sample]) -> None:
    starts = {sample.expression.object_ids: min(sample.scored_frames) for sample in of_clip(samples, "fox")}
    assert starts == {("2",): 0, ("7",): LATE, ("2", "7"): 0, ("5",): 0}
    assert {max(sample.scored_frames) for sample in samples} == {LENGTH - 1}


def test_an_object_that_is_never_seen_is_neither_given_nor_scored(root: Path, tmp_path: Path) -> None:
    for index in range(LENGTH):
        labels = labels_of("fox", index)
        labels[labels == 7] = 0
        write_label_png(root / "Annotations" / "480p" / "fox" / f"{index:05d}.png", labels)
    samples = given_samples(samples_of(load_davis17(root, ["fox"])))
    propagator = StandingStill()
    report = evaluate_given(samples, by_given_mask(propagator))
    assert [sorted(own) for own in propagator.given[0].values()] == [[2, 5]]
    assert [row.sample.expression_id for row in report.objects] == ["2", "5"]
    row = report.rows[1]  # of an expression for it: nothing is right in all frames
    assert (row.sample.kind, row.j, len(row.scores)) == ("motion", 1.0, LENGTH)


def test_the_first_samples_bring_the_objects_of_their_clips_alone(samples: list[Sample]) -> None:
    few = first_targets(samples, 2)
    assert [(sample.kind, sample.expression_id) for sample in few] == [
        ("referring", "0"),
        ("motion", "1"),
        (OBJECT, "2"),
        (OBJECT, "5"),
        (OBJECT, "7"),
    ]
    assert first_targets(samples, 0) == samples


def test_a_clip_without_true_masks_cannot_be_given(root: Path) -> None:
    sample = samples_of(load_davis17(root, ["gnu"]))[0]
    with pytest.raises(InputError, match="no true masks"):
        given_samples([replace(sample, clip=replace(sample.clip, masks=None))])


# ---- what is given ----


def test_all_objects_are_given_at_once_each_where_it_is_first_seen(samples: list[Sample]) -> None:
    propagator = StandingStill()
    evaluate_given(samples, by_given_mask(propagator))
    assert len(propagator.given) == 2  # once per clip, for nine samples
    fox, gnu = propagator.given
    assert {index: sorted(own) for index, own in fox.items()} == {0: [2, 5], LATE: [7]}
    assert {index: sorted(own) for index, own in gnu.items()} == {0: [1]}
    for index, own in fox.items():
        for number, mask in own.items():
            np.testing.assert_array_equal(mask, labels_of("fox", index) == number)


def test_a_late_object_is_absent_before_the_frame_it_is_given_on(samples: list[Sample]) -> None:
    (both,) = [sample for sample in samples if sample.kind == "several"]
    masks = dict(by_given_mask(StandingStill())(both).masks)
    for index in range(LENGTH):
        expected = labels_of("fox", 0) == 2
        if index >= LATE:
            expected |= labels_of("fox", LATE) == 7
        np.testing.assert_array_equal(masks[index], expected)


def test_objects_whose_ids_are_no_numbers_are_counted(tmp_path: Path) -> None:
    propagator = StandingStill()
    report = evaluate_given(given_samples(mosaic(load_single(draw_davis(tmp_path)))), by_given_mask(propagator))
    assert {number for given in propagator.given for own in given.values() for number in own} == {1}
    assert len(propagator.given) == len(report.objects) == 8  # four clips, each to the left and to the right
    assert report.objects[0].sample.expression.object_ids == ("ant/1",)


def test_two_clips_make_one_mosaic_that_is_given_both_of_their_objects(tmp_path: Path) -> None:
    samples = given_samples(mosaic(load_single(draw_davis(tmp_path / "root"), ["ant", "bee"])))
    propagator = StandingStill()
    report = evaluate_given(samples, by_given_mask(propagator, tmp_path / "kept"))
    assert [{number for own in given.values() for number in own} for given in propagator.given] == [{1, 2}, {1, 2}]
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"ant+bee", "bee+ant"}
    again = evaluate_given(samples, from_label_maps(tmp_path / "kept", samples))
    assert again.scores() == report.scores()


# ---- scores ----


def test_true_label_maps_score_one_for_every_target_and_void_does_not_count(samples: list[Sample]) -> None:
    report = evaluate_given(of_clip(samples, "fox"), by_given_mask(Knowing("fox")))
    assert {(row.j, row.f) for row in report.rows} == {(1.0, 1.0)}
    assert len(report.rows) == 7


def test_what_is_marked_in_void_pixels_counts_for_nothing(samples: list[Sample], root: Path, tmp_path: Path) -> None:
    fox = of_clip(samples, "fox")
    for index in range(LENGTH):
        labels = labels_of("fox", index)
        labels[labels == VOID] = 2
        (tmp_path / "preds" / "fox").mkdir(parents=True, exist_ok=True)
        write_label_png(tmp_path / "preds" / "fox" / f"{index:05d}.png", labels)
    assert {row.j for row in evaluate_given(fox, from_label_maps(tmp_path / "preds", samples)).rows} == {1.0}


def test_a_union_is_scored_as_one_mask(samples: list[Sample]) -> None:
    """Objects that were taken for each other are wrong one by one, and right together."""
    fox = of_clip(samples, "fox")

    class Swapping(Knowing):
        def propagate(self, video, given) -> Labels:
            swap = np.arange(256, dtype=np.uint8)
            swap[[2, 7]] = 7, 2
            return Labels([swap[one] for one in super().propagate(video, given).maps])

    report = evaluate_given([s for s in fox if s.kind != "motion"], by_given_mask(Swapping("fox")))
    j = {row.sample.kind if row.sample.kind != OBJECT else row.sample.expression_id: row.j for row in report.rows}
    assert j["referring"] == j["reasoning"] == j["2"] == j["7"] == 0
    assert j["5"] == 1
    # before the yellow one is given, nothing is known of it, and the green one's pixels are called by its number
    assert j["several"] == pytest.approx((LENGTH - LATE) / LENGTH)


def test_scores_are_those_of_the_masks_one_by_one(samples: list[Sample]) -> None:
    (row,) = evaluate_given(of_clip(samples, "gnu")[:1], by_given_mask(StandingStill())).rows
    still = labels_of("gnu", 0) == 1
    expected = [jf(still, labels_of("gnu", index) == 1) for index in range(LENGTH)]
    assert list(row.scores.values()) == expected
    assert (row.target_frame, list(row.scores)) == (0, list(range(LENGTH)))
    assert row.j == pytest.approx(np.mean([one.j for one in expected]))


def test_what_means_the_same_is_scored_once_and_counts_as_often_as_it_is_said(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[object] = []
    monkeypatch.setattr(
        "videoseg_r1.evaluation.given.evaluate", lambda some, *args, **more: scored.extend(some) or evaluate(some, *args, **more)
    )
    told: list[str] = []
    fox = of_clip(samples, "fox")
    report = evaluate_given(fox, by_given_mask(StandingStill()), on_row=lambda row: told.append(row.sample.kind))
    assert len(scored) == 4  # 2, 7, both, 5
    assert sorted(told) == sorted(sample.kind for sample in fox)
    assert [row.sample for row in report.rows] == fox
    rows = {(row.sample.kind, row.sample.expression_id): row for row in report.rows}
    assert rows["referring", "0"].scores == rows["reasoning", "4"].scores == rows[OBJECT, "2"].scores
    whole = report.to_dict()
    j = [row.j for row in report.expressions]
    assert (whole["num_expressions"], whole["J"]) == (4, pytest.approx(np.mean(j)))
    assert whole["objects"]["num"] == 3
    assert whole["objects"]["J"] == pytest.approx(np.mean([row.j for row in report.objects]))
    assert [row["object"] for row in whole["objects"]["samples"]] == ["2", "5", "7"]
    assert set(whole["kinds"]) == {"referring", "motion", "several", "reasoning"}
    assert len({row.seconds for row in report.rows}) == 1
    assert report.seconds_per_frame == pytest.approx(report.rows[0].seconds / LENGTH)


def test_the_first_mask_of_sparse_truth_is_on_a_frame_that_has_one(samples: list[Sample]) -> None:
    gnu = of_clip(samples, "gnu")[0]
    assert isinstance(gnu.clip.masks, SinceFirst)
    masks = replace(gnu.clip.masks.masks, paths={3: gnu.clip.masks.masks.paths[3], 5: gnu.clip.masks.masks.paths[5]})
    (sparse, _) = given_samples([replace(gnu, clip=replace(gnu.clip, masks=masks))])
    (row,) = evaluate_given([sparse], by_given_mask(StandingStill())).rows
    assert (row.target_frame, list(row.scores), row.missing) == (3, [3, 5], 0)


# ---- kept label maps ----


def test_label_maps_are_kept_with_the_objects_own_numbers_and_score_the_same(samples: list[Sample], tmp_path: Path) -> None:
    first = evaluate_given(samples, by_given_mask(StandingStill(), tmp_path / "kept"))
    with Image.open(tmp_path / "kept" / "fox" / "00004.png") as picture:
        assert picture.mode == "P"
        assert picture.getpalette() == davis_palette().ravel().tolist()
        assert set(np.unique(np.asarray(picture))) == {0, 2, 5, 7}
    again = evaluate_given(samples, from_label_maps(tmp_path / "kept", samples))
    assert [row.scores for row in again.rows] == [row.scores for row in first.rows]
    assert [row.target_frame for row in again.rows] == [row.target_frame for row in first.rows]


def test_a_frame_without_a_label_map_is_missing(samples: list[Sample], tmp_path: Path) -> None:
    evaluate_given(samples, by_given_mask(StandingStill(), tmp_path / "kept"))
    (tmp_path / "kept" / "fox" / "00000.png").unlink()
    report = evaluate_given(samples, from_label_maps(tmp_path / "kept", samples))
    missing = {row.sample.expression.object_ids: row.missing for row in report.rows}
    assert missing == {("2",): 1, ("7",): 0, ("2", "7"): 1, ("5",): 1, ("1",): 0}


def test_grey_files_serve_clips_of_one_object_only(samples: list[Sample], tmp_path: Path) -> None:
    for clip in ("gnu", "fox"):
        (tmp_path / "preds" / clip).mkdir(parents=True)
        for index in range(LENGTH):
            grey = (labels_of(clip, index) == 1).astype(np.uint8) * 255
            Image.fromarray(grey).save(tmp_path / "preds" / clip / f"{index:05d}.png")
    report = evaluate_given(samples, from_label_maps(tmp_path / "preds", samples))
    assert {row.j for row in report.rows if row.sample.video_id == "gnu"} == {1.0}
    (error,) = {str(row.error["what"]) for row in report.rows if row.sample.video_id == "fox" and row.error}
    assert error == "a grey mask file holds one object only"
    assert report.num_failed == 4


def test_folders_of_expressions_are_refused_where_masks_are_given(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "preds" / "fox" / "0").mkdir(parents=True)
    with pytest.raises(InvalidDocument, match="label maps of all objects are scored"):
        from_label_maps(tmp_path / "preds", samples)


# ---- the real clips ----


def test_real_things_are_followed_at_once_and_scored_one_by_one_and_together(shared_data: Path, tmp_path: Path) -> None:
    """By optical flow, on the smallest of the clips: the true figures are J&F 0.263 over seven expressions."""
    selection = Selection(dataset="davis17", root=shared_data / "multi_dev", given_mask=True, videos=("dogs-jump",))
    report, _ = run_evaluation(selection, lambda *_: None, keep=tmp_path / "kept", preset="lite", propagator="flow")
    whole = report.to_dict()
    assert whole["J&F"] == pytest.approx(0.263, abs=0.02)
    assert (whole["num_expressions"], whole["objects"]["num"], whole["missing"]) == (7, 3, 0)
    j = {row.sample.expression.object_ids: row.j for row in report.rows}
    assert set(j) == {("1",), ("2",), ("3",), ("1", "2")}
    again, _ = run_evaluation(selection, lambda *_: None, preds=tmp_path / "kept")
    assert [row.scores for row in again.rows] == [row.scores for row in report.rows]


def test_a_whole_evaluation_of_given_masks_follows_several_things(root: Path) -> None:
    selection = Selection(dataset="davis17", root=root, given_mask=True)
    progress: list[tuple[str, int, int]] = []
    report, control = run_evaluation(selection, lambda *step: progress.append(step), preset="lite", propagator="flow")
    assert control is None
    assert [row.sample.kind for row in report.expressions] == ["referring", "motion", "several", "reasoning", "referring"]
    assert len(report.objects) == 4
    assert min(row.j or 0 for row in report.rows) > 0.6
    assert progress[-1] == ("evaluate", 9, 9)
