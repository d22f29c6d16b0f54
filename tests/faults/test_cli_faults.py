"""What the command line does with bad input and bad luck: the right exit code, a message that helps, nothing left behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from videoseg_r1.cli import main
from videoseg_r1.cli.terminal import plain
from videoseg_r1.pipeline.segmenter import VideoSegmenter
from videoseg_r1.video import write_video

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good clip and mask, and with everything that is wrong."""
    root = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(0)
    write_video(root / "good.mp4", rng.integers(0, 255, (8, HEIGHT, WIDTH, 3), np.uint8), fps=8.0)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[40:80, 50:100] = 255
    Image.fromarray(labels).save(root / "good.png")
    Image.fromarray(labels[::2, ::2]).save(root / "small.png")
    Image.fromarray(np.zeros_like(labels)).save(root / "empty.png")
    (root / "zero.mp4").touch()
    (root / "text.mp4").write_text("this is no video, whatever its name says\n" * 50)
    (root / "half.mp4").write_bytes((root / "good.mp4").read_bytes()[:2000])
    (root / "no_frames").mkdir()
    (root / "bad.json").write_text('{"schema": "videoseg-trace/1"')
    (root / "file").write_text("in the way")
    (root / "taken").mkdir()
    (root / "taken" / "masks.json").write_text("mine")
    with av.open(str(root / "sound.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return root


GOOD = ("good.mp4", "--mask", "good.png", "-o", "out", "--propagator", "flow", "--formats", "rle")
OUT = ("-o", "out", "--formats", "rle")
CASES: dict[str, tuple[Sequence[str], int, str]] = {
    "no such file": (("segment", "none.mp4", "a dog", *OUT), 3, "SourceNotFound"),
    "an address": (("segment", "http://127.0.0.1/a.mp4", "a dog", *OUT), 3, "SourceNotFound"),
    "a null byte": (("segment", "a\0b.mp4", "a dog", *OUT), 2, "UsageError"),
    "no colour": (("segment", "good.mp4", "a dog", *OUT, "--background", "red"), 2, "InvalidConfig"),
    "a device": (("segment", "/dev/zero", "a dog", *OUT), 3, "UnsupportedSource"),
    "an empty file": (("segment", "zero.mp4", "a dog", *OUT), 3, "CorruptVideo"),
    "text": (("segment", "text.mp4", "a dog", *OUT), 3, "UnsupportedSource"),
    "a damaged file": (("segment", "half.mp4", "a dog", *OUT), 3, "CorruptVideo"),
    "no video stream": (("segment", "sound.m4a", "a dog", *OUT), 3, "NoVideoStream"),
    "zero frames": (("segment", "no_frames", "a dog", *OUT), 3, "NoVideoStream"),
    "no query": (("segment", "good.mp4", *OUT), 2, "InvalidQuery"),
    "an empty query": (("segment", "good.mp4", "", *OUT), 2, "InvalidQuery"),
    "blanks": (("segment", "good.mp4", " \u3000\t\n", *OUT), 2, "InvalidQuery"),
    "a long query": (("segment", "good.mp4", "x" * 100_000, *OUT), 2, "InvalidQuery"),
    "control characters": (("segment", "good.mp4", "a \x1b[31mdog", *OUT), 2, "InvalidQuery"),
    "half a character": (("segment", "good.mp4", "a \udcff dog", *OUT), 2, "InvalidQuery"),
    "an unknown preset": (("segment", "good.mp4", "a dog", *OUT, "--preset", "lit"), 2, "UnknownName"),
    "an unknown format": (("segment", "good.mp4", "a dog", "-o", "out", "--formats", "rle,overlai"), 2, "UnknownName"),
    "no format": (("segment", "good.mp4", "a dog", "-o", "out", "--formats", " ,"), 2, "UsageError"),
    "a box outside the frame": (("propagate", "good.mp4", "--box", "100,40,170,80", *OUT), 2, "InvalidPrompt"),
    "an inverted box": (("propagate", "good.mp4", "--box", "100,80,50,40", *OUT), 2, "InvalidPrompt"),
    "three numbers": (("propagate", "good.mp4", "--box", "1,2,3", *OUT), 2, "InvalidPrompt"),
    "a box in fractions": (("propagate", "good.mp4", "--box", "0.1,0.2,0.3,0.4", *OUT), 2, "InvalidPrompt"),
    "a point in fractions": (("propagate", "good.mp4", "--point", "0.5,0.5", *OUT), 2, "InvalidPrompt"),
    "a point of one of two boxes": (
        ("propagate", "good.mp4", "--box", "1,2,30,40", "--box", "40,2,60,40", "--point", "9,9", *OUT),
        2,
        "InvalidPrompt",
    ),
    "two boxes of one object": (("propagate", "good.mp4", "--box", "a=1,2,30,40", "--box", "a=4,2,60,40", *OUT), 2, "InvalidPrompt"),
    "no such object": (("propagate", "good.mp4", "--box", "300=1,2,30,40", *OUT), 2, "InvalidPrompt"),
    "no numbers": (("propagate", "good.mp4", "--point", "nan,2", *OUT), 2, "InvalidPrompt"),
    "a point outside": (("propagate", "good.mp4", "--point", "160,2", *OUT), 2, "InvalidPrompt"),
    "a negative point alone": (("propagate", "good.mp4", "--neg-point", "1,2", *OUT), 2, "InvalidPrompt"),
    "a frame alone": (("segment", "good.mp4", "a dog", "--frame", "3", *OUT), 2, "InvalidPrompt"),
    "a frame beyond the end": (("propagate", *GOOD, "--frame", "8"), 2, "InvalidPrompt"),
    "a mask and a box": (("propagate", *GOOD, "--box", "1,2,30,40"), 2, "InvalidPrompt"),
    "nothing to propagate": (("propagate", "good.mp4", *OUT), 2, "InvalidPrompt"),
    "a mask of another size": (("propagate", "good.mp4", "--mask", "small.png", *OUT), 2, "InvalidPrompt"),
    "an empty mask": (("propagate", "good.mp4", "--mask", "empty.png", *OUT), 2, "InvalidPrompt"),
    "no such mask": (("propagate", "good.mp4", "--mask", "none.png", *OUT), 3, "SourceNotFound"),
    "a mask that is none": (("propagate", "good.mp4", "--mask", "text.mp4", *OUT), 3, "InvalidDocument"),
    "an output that is there": (("propagate", "good.mp4", "--mask", "good.png", "-o", "taken", "--formats", "rle"), 2, "OutputExists"),
    "a file in the way": (("propagate", "good.mp4", "--mask", "good.png", "-o", "file/out"), 5, "OutputError"),
    "a folder nobody can write": (("propagate", "good.mp4", "--mask", "good.png", "-o", "/proc/videoseg"), 5, "OutputError"),
    "no such run": (("export", "none", "--to", "matte", "-o", "out"), 3, "SourceNotFound"),
    "a folder that is no run": (("export", "no_frames", "--to", "matte", "-o", "out"), 3, "SourceNotFound"),
    "no such trace": (("replay", "none.json", "good.mp4", *OUT), 3, "SourceNotFound"),
    "a broken trace": (("replay", "bad.json", "good.mp4", *OUT), 3, "InvalidDocument"),
    "no such benchmark": (("eval", "davis18", "--root", "."), 2, "UnknownName"),
    "a folder that is no benchmark": (("eval", "davis16", "--root", "no_frames"), 3, "SourceNotFound"),
    "a control without text": (("eval", "davis16", "--root", ".", "--given-mask", "--shuffle-text"), 2, "UsageError"),
    "saving what is saved": (("eval", "davis16", "--root", ".", "--from-preds", "a", "--save-preds", "b"), 2, "UsageError"),
    "predictions into a full folder": (("eval", "davis16", "--root", ".", "--save-preds", "taken"), 2, "OutputExists"),
    "an unknown verb": (("segmint", "good.mp4"), 2, "UsageError"),
    "an unknown option": (("segment", "good.mp4", "a dog", "--ovewrite"), 2, "UsageError"),
    "a missing option": (("segment", "good.mp4", "a dog"), 2, "UsageError"),
    "a value out of range": (("segment", "good.mp4", "a dog", *OUT, "--seed", "-1"), 2, "UsageError"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_named_and_leaves_nothing(
    case: str, material: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(material)
    arguments, code, name = CASES[case]
    before = contents(material)
    assert main([*arguments, "--json"]) == code
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["error"], document["exit_code"]) == (name, code)
    assert "Traceback" not in out + err
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert plain(document["what"]) in err
    assert "Traceback" not in err
    assert not set(err) & {"\x1b", "\0", "\x9b"}
    assert contents(material) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("segment", "good.mp4", "a dog", *OUT, "--preset", "lit"), "did you mean lite?"),
        (("segment", "good.mp4", "a dog", "-o", "out", "--formats", "overlai"), "did you mean overlay?"),
        (("segmint", "good.mp4"), "segment"),
        (("segment", "good.mp4", "a dog", "--ovewrite"), "--overwrite"),
        (("propagate", "good.mp4", "--mask", "good.png", "-o", "taken", "--formats", "rle"), "--overwrite"),
        (("propagate", "good.mp4", "--box", "1,2,3", *OUT), "write --box 120,40,310,200"),
        (("propagate", "good.mp4", "--box", "dog@2=100,80,50,40", *OUT), "write --box dog@2=50,40,100,80"),
    ],
)
def test_the_message_says_what_to_do(
    arguments: Sequence[str], hint: str, material: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(material)
    assert main(arguments) == 2
    assert hint in capsys.readouterr().err


def test_outputs_are_checked_before_the_video_and_the_models(
    material: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The video is not even there: whoever looked at it first would say so."""
    monkeypatch.chdir(material)
    for options, code in ((("-o", "taken"), 2), (("-o", "file/out"), 5), (("-o", "out", "--formats", "x"), 2)):
        assert main(["segment", "none.mp4", "a dog", *options]) == code
    assert "none.mp4" not in capsys.readouterr().err


def test_debug_shows_where_it_happened(material: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(material)
    assert main(["segment", "none.mp4", "a dog", *OUT, "--debug"]) == 3
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "error: there is no such file or folder: none.mp4" in err


def test_a_bug_is_called_a_bug(material: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(material)

    def fail(*_: object, **__: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(VideoSegmenter, "propagate", fail)
    assert main(["propagate", *GOOD]) == 1
    err = capsys.readouterr().err
    assert "this is a bug" in err
    assert "KeyError: 'lost'" in err
    assert "Traceback" not in err
    assert main(["propagate", *GOOD, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["exit_code"] == 1


@pytest.mark.parametrize("error", [MemoryError("4 GiB"), RuntimeError("[...] DefaultCPUAllocator: can't allocate memory: you tried ...")])
def test_memory_that_runs_out_is_a_resource_error(
    error: Exception, material: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(material)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(VideoSegmenter, "propagate", fail)
    assert main(["propagate", *GOOD, "--json"]) == 5
    document = json.loads(capsys.readouterr().out)
    assert (document["error"], bool(document["fix"])) == ("ResourceError", True)
    assert not (material / "out").exists()


def test_whatever_a_library_prints_stays_out_of_the_document(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(material)
    real = VideoSegmenter.propagate

    def noisy(*args: Any, **kwargs: Any) -> object:
        print("loading ...")
        return real(*args, **kwargs)

    monkeypatch.setattr(VideoSegmenter, "propagate", noisy)
    assert main(["propagate", *GOOD, "-o", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["outputs"]
    assert "loading ..." in err


def test_names_cannot_steer_the_terminal(material: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2J\u202egnp\x9b31m.mp4"
    assert main(["segment", name, "a dog", "-o", str(material / "out"), "--formats", "rle"]) == 3
    err = capsys.readouterr().err
    assert "a[2Jgnp31m.mp4" in err
    assert not set(err) & set("\x1b\u202e\x9b")
    assert main(["segment", name, "a dog", "-o", str(material / "out"), "--formats", "rle", "--json"]) == 3
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert json.loads(out)["where"] == name


# ---- in processes of their own: signals, pipes and disks ----


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "videoseg_r1", *map(str, arguments)]
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, **options)


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path, material: Path) -> None:
    clip = tmp_path / "long.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (12, HEIGHT, WIDTH, 3), np.uint8)
    write_video(clip, np.concatenate([frames] * 80), fps=25.0)
    out = tmp_path / "out"
    # a shell that runs the tests in the background has them ignore ctrl-C, and what they start would inherit that
    heed = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    words = ("propagate", clip, "--mask", material / "good.png", "-o", out, "--propagator", "flow")
    process = start(*words, stdout=subprocess.PIPE, preexec_fn=heed)
    assert process.stderr is not None
    for line in process.stderr:
        if line == "propagate 10 %\n":
            process.send_signal(signal.SIGINT)
            break
    try:
        stdout, stderr = process.communicate(timeout=3)
    except subprocess.TimeoutExpired:  # on a busy machine a user would press again
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["long.mp4"]


def test_a_reader_that_goes_away_is_no_error(material: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start("segment", material / "none.mp4", "a dog", "-o", material / "out", "--json", stdout=writing)
    os.close(writing)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (3, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_standard_output_that_is_full_is_told(material: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        arguments = ("propagate", material / "good.mp4", "--mask", material / "good.png", "--propagator", "flow", "--formats", "rle")
        process = start(*arguments, "-o", tmp_path, "--quiet", stdout=full)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5
    assert stderr.startswith("error: standard output cannot be written")
    assert len(stderr.splitlines()) == 2


@pytest.mark.parametrize(("limit", "said_late"), [(10_000, False), (100_000, True)])
def test_a_full_disk_is_told_early_where_it_shows_and_leaves_nothing(limit: int, said_late: bool, material: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: below what is tried first, or only below what is written."""
    rng = np.random.default_rng(0)
    clip = tmp_path / "noise.mp4"
    write_video(clip, rng.integers(0, 255, (8, HEIGHT, WIDTH, 3), np.uint8), fps=8.0)

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    arguments = ("propagate", clip, "--mask", material / "good.png", "--propagator", "flow", "--formats", "overlay")
    process = start(*arguments, "-o", tmp_path / "deep" / "out", stdout=subprocess.PIPE, preexec_fn=confine)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (5, "")
    assert ("propagate 100 %" in stderr) == said_late
    assert "free some space" in stderr
    assert "Traceback" not in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["noise.mp4"]


def test_predictions_are_kept_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("JPEGImages", "Annotations"):
        folder = tmp_path / "root" / kind / "480p" / "clip"
        folder.mkdir(parents=True)
        for index in range(3):
            picture = np.zeros((48, 64), np.uint8)
            picture[10:30, 10 + index : 30 + index] = 255
            Image.fromarray(picture).save(folder / f"{index:05d}.{'jpg' if kind == 'JPEGImages' else 'png'}")
    expressions = {"0": {"exp": "the square", "obj_id": "1"}}
    meta = {"videos": {"clip": {"frames": [f"{index:05d}" for index in range(3)], "expressions": expressions}}}
    (tmp_path / "root" / "meta_expressions.json").write_text(json.dumps(meta))
    real = VideoSegmenter.propagate

    def interrupted(*args: Any, **kwargs: Any) -> object:
        result = real(*args, **kwargs)
        monkeypatch.setattr(type(result), "label_map", raise_interrupt)
        return result

    def raise_interrupt(_: object, index: int) -> object:
        if index == 2:
            raise KeyboardInterrupt
        return np.zeros((48, 64), np.bool_)

    monkeypatch.setattr(VideoSegmenter, "propagate", interrupted)
    arguments = ["eval", "davis16", "--root", str(tmp_path / "root"), "--given-mask", "--propagator", "flow"]
    assert main([*arguments, "--save-preds", str(tmp_path / "preds"), "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["exit_code"] == 130
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
