"""A whole evaluation: which samples are scored, the control beside them, settings in the report, kept predictions, progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.drawn_davis import draw_davis, gold_mask
from videoseg_r1.errors import OutputError, UnknownName
from videoseg_r1.evaluation.report import table
from videoseg_r1.evaluation.run import Selection, run_evaluation
from videoseg_r1.masks import write_label_png
from videoseg_r1.presets import table as presets
from videoseg_r1.types import KeyframePick


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_davis(tmp_path / "root")


@dataclass
class Segmenter:
    """Finds the masks of the clip that the sentence names, whatever it is shown."""

    preset: str = "fake"
    stages: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(models={"masks": "none"}, settings={"sampler": {"mode": "full"}})
    )

    def segment(self, video, query: str, *, seed: int = 0) -> SimpleNamespace:
        pick = KeyframePick(video.num_frames, (0, 1), 1, (0,), (0,))
        return SimpleNamespace(num_frames=video.num_frames, keyframes=pick, mask=lambda index: gold_mask(query.split(maxsplit=1)[0], index))


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(presets, "load", lambda **options: asked.append(options) or Segmenter())
    return asked


def names(samples: list) -> list[str]:
    return [f"{sample.video_id}/{sample.expression_id}" for sample in samples]


def test_some_clips_and_the_first_samples_of_them(root: Path) -> None:
    known, chosen = Selection(dataset="davis16", root=root, videos=("cow", "bee"), limit=5).samples()
    assert {sample.video_id for sample in known} == {"bee", "cow"}
    assert names(chosen) == ["bee/0", "bee/1", "bee/2", "bee/3", "cow/0"]


def test_the_control_and_mosaics_need_the_other_clips_as_well(root: Path) -> None:
    for more in ({"control": True}, {"shuffle_text": True}):
        known, chosen = Selection(dataset="davis16", root=root, videos=("ant",), **more).samples()
        assert (len(known), {sample.video_id for sample in chosen}) == (16, {"ant"})
    known, chosen = Selection(dataset="davis16", root=root, videos=("ant",), mosaic=2).samples()
    assert (len(known), names(chosen)[:2]) == (16, ["ant+bee/ant-0", "bee+ant/ant-1"])
    assert len(Selection(dataset="davis16", root=root, videos=("ant",)).samples(whole=True)[0]) == 16


def test_given_masks_are_for_expressions_with_a_target_and_for_objects(root: Path) -> None:
    chosen = Selection(dataset="davis16", root=root, given_mask=True, videos=("ant", "doe"), limit=4).samples()[1]
    assert [(*name.split("/"), sample.kind) for name, sample in zip(names(chosen), chosen, strict=True)] == [
        ("ant", "0", "referring"),
        ("ant", "1", "referring"),
        ("ant", "2", "motion"),
        ("ant", "1", "object"),
        ("doe", "0", "referring"),
        ("doe", "1", "object"),
    ]


def test_an_unknown_benchmark_is_named_with_a_hint(root: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean davis17"):
        Selection(dataset="davis18", root=root).samples()


def test_a_preset_is_scored_with_the_control_beside_it(root: Path, loading: list[dict[str, object]]) -> None:
    progress: list[tuple[str, int, int]] = []
    selection = Selection(dataset="davis16", root=root, control=True, limit=3)
    report, control = run_evaluation(selection, lambda *step: progress.append(step), seed=3, preset="fake", sampler=None)
    assert loading == [{"preset": "fake", "sampler": None}]
    assert report.scores()["J"] == 1.0
    assert control is not None
    assert control.scores()["J"] < 1
    assert progress == [("evaluate", n, 3) for n in (1, 2, 3)] + [("control", n, 3) for n in (1, 2, 3)]
    assert report.settings == {
        "bound": 0.008,
        "preset": "fake",
        "seed": 3,
        "models": {"masks": "none"},
        "sampler": {"mode": "full"},
        "dataset": "davis16",
        "root": str(root),
        "given_mask": False,
        "mosaic": 0,
        "shuffle_text": False,
        "videos": [],
        "limit": 3,
    }


def test_the_control_alone_is_scored_when_it_is_asked_for(root: Path, loading: list[dict[str, object]]) -> None:
    selection = Selection(dataset="davis16", root=root, shuffle_text=True, videos=("ant",))
    report, control = run_evaluation(selection, lambda *_: None, preset="fake")
    assert control is None
    assert [row.sample.query_from != "" for row in report.rows] == [True] * 3


def test_kept_predictions_score_the_same_and_no_half_of_them_is_left(
    root: Path, tmp_path: Path, loading: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection(dataset="davis16", root=root, videos=("bee",))
    report, _ = run_evaluation(selection, lambda *_: None, keep=tmp_path / "new" / "kept", preset="fake")
    assert sorted(path.name for path in (tmp_path / "new" / "kept" / "bee" / "3").iterdir())[-1] == "00005.png"
    again, _ = run_evaluation(selection, lambda *_: None, preds=tmp_path / "new" / "kept")
    assert again.scores() == report.scores()
    assert again.settings["from_preds"] == str(tmp_path / "new" / "kept")

    def full(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("videoseg_r1.evaluation.run.write_label_png", full)
    with pytest.raises(OutputError, match="full"):
        run_evaluation(selection, lambda *_: None, keep=tmp_path / "other" / "kept", preset="fake")
    assert not (tmp_path / "other").exists()


def test_the_table_for_people_has_kinds_the_control_and_what_went_wrong(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "preds" / "ant" / "0"
    folder.mkdir(parents=True)
    write_label_png(folder / "00000.png", gold_mask("ant", 0).astype(np.uint8))
    report, _ = run_evaluation(Selection(dataset="davis16", root=root, videos=("ant",)), lambda *_: None, preds=tmp_path / "preds")
    lines = table(report.to_dict(report)).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["all", "referring", "motion"]
    assert [line.split("  ")[0] for line in lines[4:6]] == ["shuffled text", "gap"]
    assert "3 expressions with a target" in lines
    assert "least J&F 0.000: ant, expression 1" in lines
    assert "absent targets: nothing returned for 1 of 1" in lines
    assert lines[-1] == "15 frames without a prediction"
