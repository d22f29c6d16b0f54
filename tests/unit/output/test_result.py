"""Traces read back exactly and refuse what does not fit; results answer from their tracks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.results import result_of
from helpers.shapes import rectangle
from videoseg_r1.documents import to_json
from videoseg_r1.errors import InvalidDocument, SourceNotFound, UsageError
from videoseg_r1.masks import encode
from videoseg_r1.output.result import SegmentationResult
from videoseg_r1.output.trace import Trace, TracedVideo
from videoseg_r1.types import Box, Cue, KeyframePick, Point, Reasoning, Round


def make_trace() -> Trace:
    cue = Cue(Box(1.5, 2.0, 4.0, 3.0), (Point(2.0, 2.0),), (Point(0.0, 0.0), Point(5.0, 3.0)), track_id=2)
    rounds = (Round((0, 9), ((1, 5), None), (1, 5), 0.5),)
    pick = KeyframePick(10, (1, 5), 3, (1, 3, 5), (0, 9), rounds, (0.5, None), converged=False, mode="full")
    reasoning = Reasoning(
        'it is "red"\nund grün 赤', (cue, Cue(None, (Point(1.0, 1.0),))), 7, "<think>", 0.1 + 0.2, failed=False, notes=("clamped",)
    )
    masks = {3: (encode(np.eye(4, 6, dtype=bool)), encode(np.zeros((4, 6), bool)))}
    settings = {"temperature": 0.7, "nested": {"on": True, "list": [1, None]}}
    return Trace("0.1.0", "the red one", "lite", 7, TracedVideo("a.mp4", 10, (6, 4)), pick, reasoning, masks, settings, {"m": "rev"})


class TestTrace:
    def test_reads_back_equal(self, tmp_path: Path) -> None:
        trace = make_trace()
        (tmp_path / "t.json").write_text(trace.to_json(), encoding="utf-8")
        assert Trace.from_dict(trace.to_dict()) == trace
        assert Trace.read(tmp_path / "t.json") == trace
        assert Trace.read(tmp_path / "t.json").to_json() == trace.to_json()

    def test_json_is_canonical(self) -> None:
        trace = make_trace()
        text = trace.to_json()
        assert text.endswith("}\n")
        assert text == replace(trace, settings=dict(reversed(trace.settings.items()))).to_json()
        assert list(json.loads(text)) == sorted(json.loads(text))
        assert json.loads(text)["schema"] == "videoseg-trace/1"
        assert "赤" in text
        assert "time" not in "".join(json.loads(text))

    def test_minimal_trace(self) -> None:
        trace = Trace("0.1.0", None, "lite", 0, TracedVideo("a", 1, (1, 1)))
        assert Trace.from_dict(trace.to_dict()) == trace

    def test_names_that_are_not_utf8_survive(self, tmp_path: Path) -> None:
        trace = replace(make_trace(), video=TracedVideo("caf\udce9.mp4", 10, (6, 4)))
        (tmp_path / "t.json").write_text(trace.to_json(), encoding="utf-8")
        assert Trace.read(tmp_path / "t.json") == trace

    def test_cues_of_earlier_versions_carry_no_id(self) -> None:
        document = make_trace().to_dict()
        assert [cue.pop("track_id") for cue in document["reasoning"]["cues"]] == [2, None]
        read = Trace.from_dict(document)
        assert read.reasoning is not None
        assert [cue.track_id for cue in read.reasoning.cues] == [None, None]

    def test_a_key_of_later_versions_is_no_obstacle(self) -> None:
        assert Trace.from_dict(make_trace().to_dict() | {"later": 1}) == make_trace()

    @pytest.mark.parametrize(
        ("where", "change"),
        [
            ("seed", lambda d: d.pop("seed")),
            ("seed", lambda d: d.update(seed="7")),
            ("seed", lambda d: d.update(seed=True)),
            ("seed", lambda d: d.update(seed=7.0)),
            ("query", lambda d: d.update(query=3)),
            ("video.size", lambda d: d["video"].update(size=[6])),
            ("video.size[1]", lambda d: d["video"].update(size=[6, "4"])),
            ("video", lambda d: d["video"].update(num_frames=0)),
            ("video", lambda d: d.update(video=[])),
            ("keyframes", lambda d: d["keyframes"].update(target_frame=10)),
            ("keyframes", lambda d: d["keyframes"].update(segment=[5, 1])),
            ("keyframes", lambda d: d["keyframes"].update(num_frames=11)),
            ("keyframes.rounds[0].votes[0][1]", lambda d: d["keyframes"]["rounds"][0]["votes"][0].__setitem__(1, None)),
            ("keyframes.positions[0]", lambda d: d["keyframes"].update(positions=["x"])),
            ("reasoning.cues[0].box.x1", lambda d: d["reasoning"]["cues"][0]["box"].update(x1=10**400)),
            ("reasoning.cues[1].points[0].y", lambda d: d["reasoning"]["cues"][1]["points"][0].pop("y")),
            ("reasoning.text", lambda d: d["reasoning"].update(text=None)),
            ("seed_masks.3[0]", lambda d: d["seed_masks"]["3"][0].update(counts="0")),
            ("seed_masks.3[1].size", lambda d: d["seed_masks"]["3"][1].update(size=6)),
            ("seed_masks.12[0]", lambda d: d.update(seed_masks={"12": d["seed_masks"]["3"]})),
            ("seed_masks.-1", lambda d: d.update(seed_masks={"-1": []})),
            ("seed_masks.x", lambda d: d.update(seed_masks={"x": []})),
            ("settings", lambda d: d.update(settings=None)),
        ],
    )
    def test_what_does_not_fit_is_refused_by_name(self, where: str, change: Callable[[dict[str, Any]], object]) -> None:
        document = make_trace().to_dict()
        change(document)
        with pytest.raises(InvalidDocument) as caught:
            Trace.from_dict(document, "t.json")
        assert caught.value.where == f"t.json: {where}"

    @pytest.mark.parametrize("document", [None, [], "x", {}, {"schema": "videoseg-trace/2"}, {"schema": "videoseg-result/1"}])
    def test_documents_of_another_kind(self, document: object) -> None:
        with pytest.raises(InvalidDocument, match="another kind"):
            Trace.from_dict(document)

    @pytest.mark.parametrize("text", [b"", b"{", b'{"schema": NaN}', b"\xff\xfe", b"[" * 100_000, b'{"a": 1}}', b"1" * 5000])
    def test_files_that_are_no_json(self, tmp_path: Path, text: bytes) -> None:
        (tmp_path / "t.json").write_bytes(text)
        with pytest.raises(InvalidDocument):
            Trace.read(tmp_path / "t.json")

    def test_infinity_in_disguise(self, tmp_path: Path) -> None:
        text = make_trace().to_json().replace("0.30000000000000004", "1e999")
        (tmp_path / "t.json").write_text(text, encoding="utf-8")
        with pytest.raises(InvalidDocument, match=r"reasoning\.presence"):
            Trace.read(tmp_path / "t.json")

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFound, match=r"none\.json"):
            Trace.read(tmp_path / "none.json")

    def test_nan_is_not_written(self) -> None:
        with pytest.raises(InvalidDocument, match="JSON"):
            replace(make_trace(), settings={"x": float("nan")}).to_json()

    def test_numbers_of_numpy_are_plain_numbers(self) -> None:
        assert json.loads(to_json({"a": np.int64(3), "b": np.float64(0.5), "c": np.bool_(True), "d": (np.float32(0.25),)})) == {
            "a": 3, "b": 0.5, "c": True, "d": [0.25],
        }  # fmt: skip

    def test_lists_of_numbers_stay_on_one_line_and_texts_are_left_alone(self) -> None:
        value = {"a": [1, 2.5, None, True], "b": "[\n  1,\n  2\n]", "c": [[1], []], "d": ["x", "y"]}
        assert '"a": [1, 2.5, null, true]' in to_json(value)
        assert json.loads(to_json(value)) == value


def left_and_right(tracks: bool = True) -> SegmentationResult:
    """Objects 4 and 2, which overlap in one column: both in frame 8, the second alone in frame 2, neither in the other frames."""
    left, right = rectangle((6, 4), 0, 0, 4, 4), rectangle((6, 4), 3, 0, 6, 4)
    masks = {8: np.stack([left, right]), 2: np.stack([left & False, right])} if tracks else {}
    return result_of(make_trace(), masks, confidence={8: (0.5, 1.0), 2: (0.0, 0.5)}, object_ids=(4, 2) if tracks else ())


def test_plain_data_of_results_and_traces_is_what_their_json_reads() -> None:
    trace, result = make_trace(), left_and_right()
    assert trace.to_dict() == json.loads(trace.to_json())
    assert list(trace.to_dict()) == list(json.loads(trace.to_json()))
    assert result.to_dict() == json.loads(to_json(result.to_dict()))
    assert result.to_dict()["tracks"][0]["object_id"] == 4


class TestResult:
    def test_masks_by_track_and_together(self) -> None:
        result = left_and_right()
        assert result.tracks[1].mask(2).sum() == 12
        assert result.mask(8).all()
        assert result.label_map(8).tolist() == [[4, 4, 4, 4, 2, 2]] * 4
        assert not result.mask(0).any()
        assert [result.present(i) for i in (0, 2, 8)] == [False, True, True]

    @pytest.mark.parametrize("index", [-1, 10])
    def test_a_frame_that_the_video_has_not_is_no_empty_mask(self, index: int) -> None:
        with pytest.raises(UsageError, match=f"frame {index}\n  the video has 10"):
            left_and_right().mask(index)

    def test_tracks_know_where_they_are(self) -> None:
        first, second = left_and_right().tracks
        assert (first.object_id, second.object_id) == (4, 2)
        assert first.box(2) is None
        assert second.box(2) == Box(3, 0, 6, 4)
        assert (first.score, second.score) == (0.5, 0.75)
        assert second.rle(2)["size"] == [4, 6]

    def test_no_target_is_an_empty_mask_in_every_frame(self) -> None:
        result = left_and_right(tracks=False)
        assert result.tracks == ()
        assert result.mask(5).shape == (4, 6)
        assert not result.mask(5).any()
        assert not result.label_map(5).any()

    def test_to_dict_is_plain_and_holds_the_trace(self) -> None:
        document = left_and_right().to_dict()
        assert json.loads(json.dumps(document)) == document
        assert document["schema"] == "videoseg-result/1"
        assert Trace.from_dict(document | {"schema": "videoseg-trace/1"}) == make_trace()
        assert document["tracks"][0] == {"object_id": 4, "score": 0.5, "num_frames_present": 1, "first_frame": 8, "last_frame": 8}

    def test_a_stream_cannot_be_opened_again(self) -> None:
        with pytest.raises(SourceNotFound, match="not kept"):
            left_and_right().reopen()

    def test_an_array_can_be_opened_again(self) -> None:
        frames = np.zeros((10, 4, 6, 3), np.uint8)
        with replace(left_and_right(), source=frames).reopen() as video:
            assert video.num_frames == 10
