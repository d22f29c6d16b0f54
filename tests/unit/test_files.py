"""What is written appears whole or not at all, with the usual permissions, and its errors are OutputErrors."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from videoseg_r1.errors import OutputError
from videoseg_r1.files import output_errors, side_folder, staged, write_whole

_WHAT = "the list cannot be written"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _half_written(path: Path, error: type[BaseException]) -> None:
    with staged(path, _WHAT) as side:
        side.write_text("half")
        raise error


class TestWriteWhole:
    def test_text_and_bytes_appear_in_a_folder_that_is_made(self, tmp_path: Path) -> None:
        write_whole(tmp_path / "a" / "b" / "list.txt", "zwölf\n", _WHAT)
        write_whole(tmp_path / "a" / "raw", b"\x00\xff", _WHAT)
        assert (tmp_path / "a" / "b" / "list.txt").read_bytes() == "zwölf\n".encode()
        assert (tmp_path / "a" / "raw").read_bytes() == b"\x00\xff"
        assert _names(tmp_path / "a") == ["b", "raw"]

    def test_a_file_that_is_there_is_replaced(self, tmp_path: Path) -> None:
        for text in ("old", "new"):
            write_whole(tmp_path / "list.txt", text, _WHAT)
        assert (tmp_path / "list.txt").read_text() == "new"
        assert _names(tmp_path) == ["list.txt"]

    @pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
    def test_permissions_are_those_of_any_new_file(self, tmp_path: Path, umask: int, mode: int) -> None:
        before = os.umask(umask)
        try:
            write_whole(tmp_path / "list.txt", "x", _WHAT)
        finally:
            os.umask(before)
        assert _mode(tmp_path / "list.txt") == mode

    def test_the_longest_name_that_the_file_system_takes(self, tmp_path: Path) -> None:
        write_whole(tmp_path / ("n" * 255), "x", _WHAT)
        assert (tmp_path / ("n" * 255)).read_text() == "x"

    def test_a_place_that_cannot_be_written_is_an_output_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OutputError, match=_WHAT) as caught:
            write_whole(tmp_path / "file" / "list.txt", "x", _WHAT)
        assert caught.value.where == str(tmp_path / "file" / "list.txt")
        assert caught.value.why
        assert _names(tmp_path) == ["file"]


class TestStaged:
    def test_nothing_is_seen_before_the_end(self, tmp_path: Path) -> None:
        with staged(tmp_path / "run", _WHAT) as side:
            side.mkdir()
            (side / "part").write_text("x")
            assert not (tmp_path / "run").exists()
        assert (tmp_path / "run" / "part").read_text() == "x"
        assert _names(tmp_path) == ["run"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_after_an_error_the_old_file_is_there_and_nothing_else(self, tmp_path: Path, error: type[BaseException]) -> None:
        (tmp_path / "list.txt").write_text("old")

        with pytest.raises(error):
            _half_written(tmp_path / "list.txt", error)
        assert (tmp_path / "list.txt").read_text() == "old"
        assert _names(tmp_path) == ["list.txt"]

    def test_folders_made_for_it_go_after_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError), staged(tmp_path / "a" / "b" / "list.txt", _WHAT):
            raise RuntimeError
        assert _names(tmp_path) == []

    def test_a_folder_does_not_replace_one_with_something_in_it(self, tmp_path: Path) -> None:
        write_whole(tmp_path / "run" / "kept", "x", _WHAT)
        with pytest.raises(OutputError, match=_WHAT), staged(tmp_path / "run", _WHAT) as side:
            side.mkdir()
        assert _names(tmp_path / "run") == ["kept"]
        assert _names(tmp_path) == ["run"]

    def test_a_writer_that_keeps_the_file_for_the_owner(self, tmp_path: Path) -> None:
        with staged(tmp_path / "list.txt", _WHAT) as side:
            side.write_text("x")
            side.chmod(0o600)
        (tmp_path / "usual").write_text("x")
        assert _mode(tmp_path / "list.txt") == _mode(tmp_path / "usual")


def test_a_folder_that_was_there_stays_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), side_folder(tmp_path):
        raise RuntimeError
    assert _names(tmp_path) == []
    assert tmp_path.is_dir()


def test_only_errors_of_the_operating_system_are_mapped(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device\n  empty the bin"), output_errors(_WHAT, tmp_path, "empty the bin"):
        raise OSError(28, "No space left on device")
    with pytest.raises(ValueError, match="other"), output_errors(_WHAT, tmp_path):
        raise ValueError("other")
