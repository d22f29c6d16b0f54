"""videoseg rate, called in this process: with a scripted model, and with one behind an address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.chat_server import ChatServer, says
from helpers.replies import ratings_reply
from helpers.scripted_chat import ScriptedChat
from videoseg_r1.cli import main
from videoseg_r1.difficulty import RATINGS
from videoseg_r1.errors import InvalidDocument, SourceNotFound
from videoseg_r1.presets import table as presets
from videoseg_r1.video.manifest import Item, read_manifest

EASY, MEDIUM, HARD = ratings_reply(1, 2, 3, 4, 2), ratings_reply(5, 5, 5, 5, 6), ratings_reply(9, 9, 8, 8, 9)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function: texts -> the model that says them, for every preset."""

    def start(*texts: str) -> ScriptedChat:
        chat = ScriptedChat(*texts)
        chat.notes = ()
        monkeypatch.setattr(presets, "chat_of", lambda preset, device: chat)
        return chat

    return start


@pytest.fixture
def manifest(clip: Path, tmp_path: Path) -> Path:
    lines = [
        {"video": clip.name, "query": "a dog", "id": "one"},
        {"video": clip.name, "query": "a cat"},
        {"video": str(clip), "query": "a cow"},
    ]
    path = tmp_path / "all.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    preset = [] if "--preset" in arguments else ["--preset", "3b"]
    code = main(["rate", *map(str, arguments), *preset])
    return code, capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> dict[str, Any]:
    found, out = run(capsys, *arguments, "--json")
    assert found == code, out
    return json.loads(out)


def test_one_video(script: Any, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(MEDIUM)
    assert document(capsys, clip, "the dog")["items"] == [
        {
            "id": "clip.png",
            "video": str(clip),
            "query": "the dog",
            "ratings": dict(zip(RATINGS, (5.0, 5.0, 5.0, 5.0, 6.0), strict=True)),
            "D": 5.2,
            "tier": "medium",
            "budget": 72,
            "imputed": False,
            "notes": [],
        }
    ]


def test_it_reads_well(script: Any, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(MEDIUM)
    assert run(capsys, clip, "the dog", "--quiet") == (
        0,
        "clip.png: D 5.2, medium, 72 tokens; scene complexity 5, segmentation challenge 5, temporal ambiguity 5, motion complexity 5, "
        "linguistic ambiguity 6\n",
    )


def test_a_manifest(script: Any, manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(EASY, MEDIUM, HARD)
    items = document(capsys, manifest)["items"]
    assert [(item["id"], item["query"], item["tier"], item["budget"]) for item in items] == [
        ("one", "a dog", "easy", 48),
        ("2", "a cat", "medium", 72),
        ("3", "a cow", "hard", 112),
    ]


def test_quantiles_part_the_items_of_the_manifest(script: Any, manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(ratings_reply(5, 5, 5, 5, 5), ratings_reply(5, 5, 5, 5, 6), ratings_reply(5, 5, 5, 6, 6))
    found = document(capsys, manifest, "--mode", "quantile")
    assert [item["tier"] for item in found["items"]] == ["easy", "medium", "hard"]
    assert 5.0 < found["tiers"]["easy"] < found["tiers"]["hard"] < 5.4


def test_what_is_imputed_is_medium_and_moves_no_threshold(script: Any, manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script("", "", "", ratings_reply(1, 1, 1, 1, 1), ratings_reply(2, 2, 2, 2, 2))
    found = document(capsys, manifest, "--mode", "quantile")
    assert [(item["imputed"], item["tier"]) for item in found["items"]] == [(True, "medium"), (False, "easy"), (False, "hard")]
    assert found["tiers"]["hard"] < 2.0


def test_ratings_are_remembered_unless_asked_otherwise(script: Any, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(EASY)
    assert document(capsys, clip, "the dog")["items"][0]["D"] == 2.4
    script()
    assert document(capsys, clip, "the dog")["items"][0]["D"] == 2.4
    script(HARD)
    assert document(capsys, clip, "the dog", "--no-cache")["items"][0]["D"] == 8.6
    script()
    assert document(capsys, clip, "the dog")["items"][0]["D"] == 2.4


def test_an_item_that_fails_does_not_stop_the_others(script: Any, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text('{"video": "none.mp4", "query": "a dog"}\n{"video": "clip.png", "query": ""}\n{"video": "clip.png", "query": "a dog"}')
    script(EASY)
    found = document(capsys, path, code=1)
    assert found["failed"] == 2
    assert [item["error"]["error"] if "error" in item else item["tier"] for item in found["items"]] == [
        "SourceNotFound",
        "InvalidQuery",
        "easy",
    ]
    script()
    code, out = run(capsys, path, "--quiet")
    assert code == 1
    assert out.startswith("1: failed, there is no such file or folder: ")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("none.mp4", "a dog"), 3, "SourceNotFound"),
        (("clip.png", " "), 2, "InvalidQuery"),
        (("clip.png",), 2, "InvalidQuery"),
        (("none.jsonl",), 3, "SourceNotFound"),
    ],
)
def test_bad_input_has_its_exit_code(
    script: Any, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: Any, code: int, error: str
) -> None:
    script()
    monkeypatch.chdir(clip.parent)
    assert document(capsys, *arguments, code=code)["error"] == error


def test_a_preset_without_a_language_model_is_refused(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without = next((name for name, row in presets.PRESETS.items() if row.chat is None), None)
    if without is None:
        pytest.skip("every preset has a language model")
    found = document(capsys, clip, "the dog", "--preset", without, code=2)
    assert (found["error"], found["what"]) == ("InvalidConfig", "this needs a model that sees pictures")


def test_a_model_behind_an_address(clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with ChatServer(says(f"<think>hm</think>{HARD}")) as server:
        monkeypatch.setenv("VIDEOSEG_ENDPOINT_URL", server.url)
        monkeypatch.setenv("VIDEOSEG_ENDPOINT_MODEL", "Qwen/Qwen3-VL-4B-Instruct")
        monkeypatch.setenv("VIDEOSEG_ENDPOINT_KEY", "sesame")
        monkeypatch.delenv("VIDEOSEG_ENDPOINT_FAMILY", raising=False)
        found = document(capsys, clip, "the dog", "--preset", "endpoint")
    assert (found["items"][0]["D"], found["items"][0]["tier"]) == (8.6, "hard")
    assert found["rater"].startswith(f"Qwen/Qwen3-VL-4B-Instruct at {server.url}")
    assert "sesame" not in json.dumps(found)
    (body,) = server.bodies
    assert body["response_format"]["json_schema"]["schema"]["required"] == list(RATINGS)
    assert [part["type"] for part in body["messages"][1]["content"]] == ["text", "image_url", "text"]


def test_an_endpoint_that_is_down_stops_everything(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from helpers.chat_server import raw

    with ChatServer(raw(401, "who are you?")) as server:
        monkeypatch.setenv("VIDEOSEG_ENDPOINT_URL", server.url)
        monkeypatch.setenv("VIDEOSEG_ENDPOINT_MODEL", "Qwen/Qwen3-VL-4B-Instruct")
        assert document(capsys, manifest, "--preset", "endpoint", code=4)["error"] == "ModelError"
    assert len(server.bodies) == 1


def test_without_a_preset_those_that_see_pictures_are_named(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rate", str(clip), "the dog"]) == 2
    told = capsys.readouterr().err
    assert "a model that sees pictures" in told
    assert "3b, 7b" in told
    assert "lite" not in told


def test_a_manifest_is_read_line_by_line(manifest: Path, clip: Path) -> None:
    assert read_manifest(manifest)[:2] == [Item(clip, "a dog", "one"), Item(clip, "a cat", "2")]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("", "bad.jsonl"),
        ("\n \n", "bad.jsonl"),
        ('{"video": "a", "query": "b"}\nnonsense', "line 2"),
        ('{"video": "a"}', "line 1: query"),
        ('{"video": 1, "query": "b"}', "line 1: video"),
        ('{"video": "a", "query": "b", "id": 7}', "line 1: id"),
        ('["a", "b"]', "line 1"),
        ('{"video": "a", "query": "b", "id": "2"}\n{"video": "a", "query": "b"}', "line 2"),
        ("[" * 100_000, "line 1"),
    ],
    ids=lambda value: value[:24],
)
def test_a_manifest_with_a_wrong_line_is_refused(tmp_path: Path, content: str, where: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidDocument) as caught:
        read_manifest(path)
    assert where in caught.value.where


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        read_manifest(tmp_path)
    (tmp_path / "bad.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidDocument, match="UTF-8"):
        read_manifest(tmp_path / "bad.jsonl")
