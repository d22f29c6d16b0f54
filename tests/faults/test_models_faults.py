"""Weights under bad conditions: no network, broken downloads, wrong content, full disks, hostile pickles (M1, M2, M4)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from helpers.hostile import Evil
from helpers.places import ROOT
from videoseg_r1.errors import ModelError, OutputError, ResourceError
from videoseg_r1.models.weights import ModelFile, ModelRef, folder_of, locate, missing_files, verify
from videoseg_r1.models.weights.convert import convert
from videoseg_r1.models.weights.convert_child import write_safetensors
from videoseg_r1.models.weights.pull import https_only, pull

_CONTENT = bytes(range(256)) * 20_000
_SHA = hashlib.sha256(_CONTENT).hexdigest()
_REVISION = "a" * 40


class _Server(ThreadingHTTPServer):
    """A hub and a release page on this machine; `break_after` bytes the connection is cut, once; `status` is what it answers."""

    content = _CONTENT
    status = 200
    location = ""
    break_after: int | None = None
    status_after_break = 200
    knows_ranges = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if server.status != 200:
            self.send_response(server.status)
            if server.location:
                self.send_header("Location", server.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = server.knows_ranges and re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        data = server.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data)))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.end_headers()
        if server.break_after is not None:
            data, server.break_after, server.status = data[: server.break_after], None, server.status_after_break
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with _Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


pytestmark = pytest.mark.usefixtures("models_folder")


@pytest.fixture(autouse=True)
def _hub_is_here(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)


def _ref(sha=_SHA):
    return ModelRef("tiny", "owner/tiny", _REVISION, "MIT", (ModelFile("model.safetensors", sha, len(_CONTENT)),), len(_CONTENT))


def _fetch(ref):
    return pull(ref, opener=urllib.request.build_opener())


def _left(ref):
    return sorted(str(path.relative_to(folder_of(ref))) for path in folder_of(ref).rglob("*") if path.is_file() and path.name != ".lock")


def test_a_pull_leaves_the_right_files_and_nothing_else(server):
    ref, seen = _ref(), []
    (path,) = pull(ref, opener=urllib.request.build_opener(), progress=lambda *call: seen.append(call))
    assert path.read_bytes() == _CONTENT
    assert _left(ref) == [path.name]
    assert locate(ref) == path.parent
    assert seen[-1] == ("model.safetensors", 4, 4)
    _fetch(ref)
    assert len(server.ranges) == 1  # what is there and right is not fetched again


def test_a_broken_connection_is_taken_up_again(server):
    server.break_after = 1_000_000
    (path,) = _fetch(_ref())
    assert path.read_bytes() == _CONTENT
    assert server.ranges == [None, "bytes=1000000-"]


def test_the_next_pull_goes_on_where_the_last_one_broke_off(server):
    ref = _ref()
    server.break_after, server.status_after_break = 1_000_000, 503
    with pytest.raises(ModelError, match="503"):
        _fetch(ref)
    assert missing_files(ref) == list(ref.files)  # nothing of it can be used
    server.status, server.ranges[:] = 200, []
    (path,) = _fetch(ref)
    assert path.read_bytes() == _CONTENT
    assert server.ranges == ["bytes=1000000-"]
    assert _left(ref) == [path.name]


def test_a_pull_that_its_progress_stops_can_be_resumed(server):
    class Stopped(Exception):
        pass

    def stop(_file: str, done: int, _total: int) -> None:
        if done >= 1:
            raise Stopped

    ref = _ref()
    with pytest.raises(Stopped):
        pull(ref, progress=stop, opener=urllib.request.build_opener())
    assert missing_files(ref) == list(ref.files)
    server.ranges[:] = []
    (path,) = _fetch(ref)
    assert path.read_bytes() == _CONTENT
    assert server.ranges == [f"bytes={1 << 20}-"]
    assert _left(ref) == [path.name]


def test_a_server_that_knows_no_ranges_starts_anew(server):
    ref = _ref()
    part = folder_of(ref) / ".partial" / f"model.safetensors.{_REVISION[:12]}"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")
    server.knows_ranges = False
    (path,) = _fetch(ref)
    assert path.read_bytes() == _CONTENT


def test_a_whole_partial_file_is_checked_and_taken(server):
    ref = _ref()
    part = folder_of(ref) / ".partial" / f"model.safetensors.{_REVISION[:12]}"
    part.parent.mkdir(parents=True)
    part.write_bytes(_CONTENT)
    server.status = 416
    assert _fetch(ref)[0].read_bytes() == _CONTENT


def test_other_content_is_never_taken(server):
    ref = _ref("b" * 64)
    with pytest.raises(ModelError, match="not the pinned one"):
        _fetch(ref)
    assert missing_files(ref) == list(ref.files)
    assert _left(ref) == []


def test_a_damaged_file_is_fetched_again():
    ref = _ref()
    folder_of(ref).mkdir(parents=True)
    (folder_of(ref) / "model.safetensors").write_bytes(b"x" * len(_CONTENT))
    _fetch(ref)
    assert [verdict.state for verdict in verify(ref)] == ["ok"]


def test_a_first_pull_records_the_hash():
    ref = _ref(None)
    (path,) = _fetch(ref)
    assert path.with_name("model.safetensors.sha256").read_text() == f"{_SHA}  model.safetensors\n"
    (verdict,) = verify(ref)
    assert "recorded at first pull (trust on first use)" in verdict.detail


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_what_the_server_refuses_is_told(server, status):
    server.status = status
    ref = _ref()
    with pytest.raises(ModelError, match=str(status)) as caught:
        _fetch(ref)
    assert caught.value.exit_code == 4
    assert str(folder_of(ref) / "model.safetensors") in caught.value.fix


def test_no_network_is_told(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="refused"):
        _fetch(_ref())


def test_only_https_is_followed(server):
    server.status, server.location = 302, f"{server.url}/elsewhere"
    with pytest.raises(urllib.error.URLError, match="away from https"):
        https_only().open(f"{server.url}/model.pth", timeout=5)


def test_a_full_disk_is_told_before_anything_is_fetched(server, monkeypatch):
    monkeypatch.setattr("videoseg_r1.models.weights.pull.shutil.disk_usage", lambda _: type("usage", (), {"free": 1000}))
    with pytest.raises(OutputError, match="too full") as caught:
        _fetch(_ref())
    assert caught.value.exit_code == 5
    assert server.ranges == []


def test_a_folder_that_cannot_be_made_is_told(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VIDEOSEG_MODELS", str(tmp_path / "file"))
    with pytest.raises(OutputError):
        _fetch(_ref())


def test_two_pulls_of_one_model_do_not_mix(server):
    from filelock import FileLock

    ref = _ref()
    folder_of(ref).mkdir(parents=True)
    with FileLock(folder_of(ref) / ".lock"), pytest.raises(ResourceError, match="another pull"):
        _fetch(ref)


def test_offline_the_verb_says_which_file_to_put_where(tmp_path):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "VIDEOSEG_MODELS": str(tmp_path / "models")}
    run = subprocess.run(
        [sys.executable, "-m", "videoseg_r1", "models", "pull", "sam2.1-tiny", "--json"], capture_output=True, env=environment, check=False
    )
    assert run.returncode == 4
    document = json.loads(run.stdout)
    assert "offline" in document["why"].lower()
    for name in ("config.json", "model.safetensors", "preprocessor_config.json", "processor_config.json"):
        assert str(tmp_path / "models" / "sam2.1-tiny" / name) in document["fix"]


# M2: checkpoints that would run code


def _hostile(kind, path, canary):
    if kind == "torch.save":
        torch.save({"a": torch.ones(1), "b": Evil(canary)}, path)
    elif kind == "old torch.save":
        torch.save(Evil(canary), path, _use_new_zipfile_serialization=False)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Evil(canary)))
    elif kind == "torchscript":
        torch.save({"a": torch.ones(1)}, path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(f"{path.stem}/constants.pkl", pickle.dumps(Evil(canary)))
            archive.writestr(f"{path.stem}/code/__torch__.py", "op_version_set = 1")
    elif kind == "nested":
        inner = io.BytesIO()
        torch.save(Evil(canary), inner)
        torch.save({"a": torch.ones(1), "inner": inner.getvalue()}, path)


def test_a_hostile_checkpoint_is_refused(tmp_path):
    _hostile("torch.save", tmp_path / "evil.pth", tmp_path / "canary")
    with pytest.raises(ModelError, match="needs code to load") as caught:
        convert(tmp_path / "evil.pth")
    assert caught.value.exit_code == 4
    assert "\n" not in caught.value.why
    assert [p.name for p in tmp_path.iterdir()] == ["evil.pth"]


@pytest.mark.parametrize("kind", ["torch.save", "old torch.save", "pickle", "torchscript", "nested"])
def test_no_code_of_a_checkpoint_ever_runs(tmp_path, kind, capsys):
    """Even without the child process around it: here the code of the child runs in this one."""
    _hostile(kind, tmp_path / "evil.pth", tmp_path / "canary")
    assert write_safetensors(tmp_path / "evil.pth", tmp_path / "out") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["evil.pth"]


def test_the_canary_would_sing(tmp_path):
    """The tests above can fail: the same file, loaded as peers load it, does run its code."""
    _hostile("pickle", tmp_path / "evil.pth", tmp_path / "canary")
    pickle.loads((tmp_path / "evil.pth").read_bytes())
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a checkpoint", b"\x80\x02"])
def test_damaged_checkpoints_are_refused(tmp_path, content, capsys):
    (tmp_path / "bad.pth").write_bytes(content)
    assert write_safetensors(tmp_path / "bad.pth", tmp_path / "out") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pth"]


# M4: code with a model


def test_nothing_here_asks_for_code_of_a_model():
    source = ROOT / "src" / "videoseg_r1"
    assert not [path for path in source.rglob("*.py") if "trust_remote_code=True" in path.read_text(encoding="utf-8")]
