"""What goes wrong while saving (docs/algorithm.md, "When something goes wrong"): nothing half-written is seen, nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.results import result_of
from videoseg_r1.errors import CorruptVideo, InvalidDocument, OutputError, SourceNotFound
from videoseg_r1.files import SIDE_PREFIX
from videoseg_r1.masks import MaskSpool
from videoseg_r1.output import save as export
from videoseg_r1.output.reload import read_run
from videoseg_r1.output.result import SegmentationResult
from videoseg_r1.output.save import EXPORTS, save
from videoseg_r1.output.trace import Trace, TracedVideo
from videoseg_r1.types import KeyframePick
from videoseg_r1.video import write_video

resource = pytest.importorskip("resource", reason="limits on file sizes need a POSIX system")
WIDTH, HEIGHT, NUM = 160, 96, 12
ALL = list(EXPORTS)


def noise_result(source: str | Path | None, name: str = "noise.mp4", query: str = "noise", num: int = NUM) -> SegmentationResult:
    rng = np.random.default_rng(0)
    trace = Trace("0.1.0", query, "lite", 0, TracedVideo(name, num, (WIDTH, HEIGHT)), KeyframePick(num, (0, num - 1), 1, (0, 2), ()))
    return result_of(trace, {i: rng.random((1, HEIGHT, WIDTH)) < 0.5 for i in range(num)}, source=source)


@pytest.fixture
def result(tmp_path: Path) -> SegmentationResult:
    path = tmp_path / "noise.mp4"
    write_video(path, np.random.default_rng(1).integers(0, 256, (NUM, HEIGHT, WIDTH, 3), np.uint8), fps=24)
    return noise_result(path)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files cannot grow past 60 KB, as on a disk that is about to be full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


class TestDisk:
    @pytest.mark.parametrize("name", ["overlay", "cutout", "prores", "card"])
    def test_full_disk_leaves_nothing(self, result: SegmentationResult, tmp_path: Path, request: pytest.FixtureRequest, name: str) -> None:
        request.getfixturevalue("small_disk")
        with pytest.raises(OutputError) as caught:
            save(result, tmp_path / "deep" / "out", ["json", "png", name])
        assert caught.value.exit_code == 5
        assert "space" in caught.value.fix
        assert not (tmp_path / "deep").exists()

    def test_full_disk_leaves_earlier_outputs_alone_and_saving_again_works(
        self, result: SegmentationResult, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        save(result, tmp_path / "out", ["json", "png"])
        before = tree(tmp_path / "out")
        request.getfixturevalue("small_disk")
        with pytest.raises(OutputError):
            save(replace(result, timings_s={"x": 1.0}), tmp_path / "out", ["json", "png", "overlay"], overwrite=True)
        assert tree(tmp_path / "out") == before
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        assert save(result, tmp_path / "out", ["overlay"])["overlay"].stat().st_size > 60_000

    @pytest.mark.usefixtures("small_disk")
    def test_a_spool_on_a_full_disk_says_so(self) -> None:
        spool, rng = MaskSpool(1, (400, 300)), np.random.default_rng(0)

        def fill() -> None:
            for index in range(100):
                spool.put(index, rng.random((1, 300, 400)) < 0.5)

        with pytest.raises(OutputError, match=r"frame \d+") as caught:
            fill()
        assert "TMPDIR" in caught.value.fix

    @pytest.mark.parametrize("name", ["json", "overlay"])
    def test_a_folder_that_cannot_be(self, result: SegmentationResult, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("not a folder")
        for folder in (tmp_path / "file", tmp_path / "file" / "out", tmp_path / ("x" * 300), Path("/proc/none/out")):
            with pytest.raises(OutputError) as caught:
                save(result, folder, [name])
            assert caught.value.where
        assert (tmp_path / "file").read_text() == "not a folder"

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
    def test_a_folder_that_is_read_only(self, result: SegmentationResult, tmp_path: Path) -> None:
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o500)
        with pytest.raises(OutputError, match="locked"):
            save(result, folder, ["json"])


class TestInterruptions:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ZeroDivisionError])
    def test_whatever_happens_nothing_is_left(
        self, result: SegmentationResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
    ) -> None:
        calls = iter(range(100))

        def failing(*_: object) -> np.ndarray:
            if next(calls) == 5:
                raise error
            return np.zeros((HEIGHT, WIDTH, 3), np.uint8)

        monkeypatch.setattr(export, "overlay", failing)
        save(result, tmp_path / "out", ["trace"])
        before = tree(tmp_path / "out")
        with pytest.raises(error):
            save(result, tmp_path / "out", [*ALL[:-1]])
        assert tree(tmp_path / "out") == before

    def test_a_failure_while_moving_takes_back_what_is_new(
        self, result: SegmentationResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace_path = Path.replace

        def failing(self: Path, target: Path) -> Path:
            if target.name == "trace.json":
                raise OSError(28, "No space left on device")
            return replace_path(self, target)

        monkeypatch.setattr(Path, "replace", failing)
        with pytest.raises(OutputError, match="No space left"):
            save(result, tmp_path / "out", ["png", "json", "trace"])
        assert not (tmp_path / "out").exists()

    def test_nothing_is_seen_before_all_is_complete(
        self, result: SegmentationResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: set[str] = set()
        matte = export.matte

        def watching(mask: np.ndarray) -> np.ndarray:
            seen.update(path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(SIDE_PREFIX))
            return matte(mask)

        monkeypatch.setattr(export, "matte", watching)
        save(result, tmp_path / "out", ALL)
        assert seen == set()

    def test_killed_while_saving(self, result: SegmentationResult, tmp_path: Path) -> None:
        """After SIGKILL the folder holds the hidden working folder and no output; saving again gives the complete set."""
        save(result, tmp_path / "run", ["rle", "json"])
        script = f"""
            import os, signal
            from videoseg_r1.output import save as export
            from videoseg_r1.output.reload import read_run
            calls = iter(range(100))
            def matte(mask, made=export.matte):
                if next(calls) == 7:
                    os.kill(os.getpid(), signal.SIGKILL)
                return made(mask)
            export.matte = matte
            read_run({str(tmp_path / "run")!r}).save({str(tmp_path / "out")!r}, list(export.EXPORTS))
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True, timeout=100)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert all(path.name.startswith(SIDE_PREFIX) for path in (tmp_path / "out").iterdir())
        assert set(save(result, tmp_path / "out", ALL)) == set(ALL)


class TestSources:
    def test_a_source_that_is_gone(self, result: SegmentationResult, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFound):
            save(replace(result, source=tmp_path / "gone.mp4"), tmp_path / "out", ["json", "card"])
        assert not (tmp_path / "out").exists()

    def test_a_source_that_was_damaged_since(self, result: SegmentationResult, tmp_path: Path) -> None:
        path = tmp_path / "noise.mp4"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises((CorruptVideo, InvalidDocument), match="noise"):
            save(result, tmp_path / "out", ["overlay", "json"])
        assert not (tmp_path / "out").exists()

    def test_the_good_prefix_of_a_damaged_source_can_be_drawn(self, result: SegmentationResult, tmp_path: Path) -> None:
        path = tmp_path / "noise.mp4"
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
        assert save(noise_result(path, num=4), tmp_path / "out", ["overlay"])["overlay"].exists()


class TestNamesAndWords:
    def test_markup_and_escapes_stay_words(self, tmp_path: Path) -> None:
        words = '=cmd|"/c calc"!A1 <script>alert(1)</script> \x1b[31m \u202e \udcff'
        saved = save(noise_result(None, name=words, query=words), tmp_path / "out", ["rle", "json", "trace"])
        for path in saved.values():
            raw = path.read_bytes()
            assert b"\x1b" not in raw
            assert raw.decode("utf-8")
        assert json.loads(saved["json"].read_text(encoding="utf-8"))["query"] == words
        assert read_run(tmp_path / "out").query == words

    @pytest.mark.parametrize("folder", ["with space & ümlaut", "caf\udce9", "-rf", "走る"])
    def test_folders_of_any_name(self, result: SegmentationResult, tmp_path: Path, folder: str) -> None:
        saved = save(result, tmp_path / folder, ["overlay", "png", "rle", "json", "card"])
        assert all(path.exists() for path in saved.values())
        assert read_run(tmp_path / folder).num_frames == NUM

    def test_locale_c_without_home_and_without_asserts(self, result: SegmentationResult, tmp_path: Path) -> None:
        save(replace(result, query="où est l'été 走る"), tmp_path / "run ü", ["rle", "json"])
        script = "import sys; from videoseg_r1.output.reload import read_run; read_run(sys.argv[1]).save(sys.argv[2], sys.argv[3])"
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONUTF8"))}
        environment |= {"LC_ALL": "C", "HOME": "/nonexistent", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        command = [sys.executable, "-O", "-W", "error", "-c", script, str(tmp_path / "run ü"), str(tmp_path / "out ü"), ",".join(ALL)]
        done = subprocess.run(command, check=False, capture_output=True, timeout=100, env=environment, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr.decode()
        written = read_run(tmp_path / "out ü").to_dict() | {"notes": []}  # where no font has Japanese letters, a note says so
        assert written == read_run(tmp_path / "run ü").to_dict()
