"""The table of models, where files lie, what verify says of them, and the verb."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
import torch
from safetensors.torch import load_file

from videoseg_r1.cli import main
from videoseg_r1.errors import OutputExists, SourceNotFound, WeightsMissing
from videoseg_r1.models.weights import MODELS, ModelFile, ModelRef, folder_of, locate, missing_files, verify
from videoseg_r1.models.weights.convert import convert
from videoseg_r1.models.weights.convert_child import write_safetensors
from videoseg_r1.presets.table import PRESETS

_CONTENT = b"weights"
_SHA = hashlib.sha256(_CONTENT).hexdigest()
_PINNED = ModelRef("tiny", "owner/tiny", "a" * 40, "MIT", (ModelFile("model.bin", _SHA, len(_CONTENT)),), 7)
_OPEN = ModelRef("open", "owner/open", "v1", "MIT", (ModelFile("model.bin"),), 7, "release")


@pytest.fixture(autouse=True)
def folder(monkeypatch, models_folder):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    return models_folder


def _put(ref, content=_CONTENT):
    path = folder_of(ref) / "model.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_table_holds_pins_that_can_be_pins():
    for name, ref in MODELS.items():
        assert name == ref.name
        assert ref.licence in ("Apache-2.0", "MIT", "LicenseRef-Qwen-Research")
        assert ref.host == "release" or re.fullmatch(r"[0-9a-f]{40}", ref.revision)
        assert all(file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in ref.files)
        assert all(ref.url(file).startswith("https://") for file in ref.files)
        if ref.host == "hub":  # weights of the hub are safetensors, never pickles
            names = {file.name for file in ref.files}
            assert {"config.json", "preprocessor_config.json"} <= names
            assert "model.safetensors" in names or "model.safetensors.index.json" in names
            assert {name.rpartition(".")[2] for name in names} <= {"json", "txt", "safetensors"}
            assert sum(file.num_bytes or 0 for file in ref.files) <= ref.num_bytes


def test_shards_are_all_there():
    assert any("-of-" in file.name for ref in MODELS.values() for file in ref.files)
    for ref in MODELS.values():
        shards = [file.name for file in ref.files if "-of-" in file.name]
        assert shards == [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
        assert bool(shards) == any(file.name == "model.safetensors.index.json" for file in ref.files)


def test_addresses():
    assert _PINNED.url(_PINNED.files[0]) == f"https://huggingface.co/owner/tiny/resolve/{'a' * 40}/model.bin"
    assert _OPEN.url(_OPEN.files[0]) == "https://github.com/owner/open/releases/download/v1/model.bin"


@pytest.mark.parametrize("content", [None, b"", b"weight"])
def test_files_that_are_missing_empty_or_cut_are_not_there(content):
    if content is not None:
        _put(_PINNED, content)
    assert [file.name for file in missing_files(_PINNED)] == ["model.bin"]
    with pytest.raises(WeightsMissing, match=r"resolve/a+/model\.bin as .*models/tiny/model\.bin"):
        locate(_PINNED)


def test_a_file_put_there_by_hand_is_found(folder):
    _put(_PINNED)
    assert locate(_PINNED) == folder / "tiny"


def test_verify_of_a_pinned_file():
    assert [v.state for v in verify(_PINNED)] == ["missing"]
    path = _put(_PINNED)
    assert [v.state for v in verify(_PINNED)] == ["ok"]
    path.write_bytes(b"weightz")
    (verdict,) = verify(_PINNED)
    assert (verdict.state, verdict.good) == ("damaged", False)
    assert _SHA in verdict.detail
    assert list(path.parent.iterdir()) == [path]  # a pinned file needs no record


def test_verify_of_a_file_that_is_not_pinned_trusts_the_first_hash():
    path = _put(_OPEN)
    (first,) = verify(_OPEN)
    assert first.state == "trusted"
    assert "recorded now" in first.detail
    assert path.with_name("model.bin.sha256").read_text() == f"{_SHA}  model.bin\n"  # what sha256sum -c reads
    (second,) = verify(_OPEN)
    assert second.detail.startswith("not pinned: recorded at first pull (trust on first use)")
    path.write_bytes(b"other")
    (third,) = verify(_OPEN)
    assert third.state == "damaged"
    assert _SHA in third.detail


# convert


@pytest.mark.parametrize("nested", [None, "model", "state_dict"])
def test_conversion_keeps_names_and_numbers(tmp_path, nested):
    base = torch.arange(12.0).reshape(3, 4)
    state = {"a.weight": base, "a.view": base[1:].T, "n": torch.tensor(3)}
    torch.save({nested: state, "epoch": 3} if nested else state, tmp_path / "old.pth")
    assert write_safetensors(tmp_path / "old.pth", tmp_path / "new") == 0
    found = load_file(tmp_path / "new")
    assert {key: value.tolist() for key, value in found.items()} == {key: value.tolist() for key, value in state.items()}


def test_something_else_is_refused(tmp_path, capsys):
    torch.save({"a": [1, 2]}, tmp_path / "list.pth")
    assert write_safetensors(tmp_path / "list.pth", tmp_path / "new") == 1
    assert "no plain state dict" in capsys.readouterr().err


def test_convert_does_not_write_over_a_file(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "old.pth")
    (tmp_path / "old.safetensors").write_text("mine")
    with pytest.raises(OutputExists):
        convert(tmp_path / "old.pth")
    assert (tmp_path / "old.safetensors").read_text() == "mine"
    assert convert(tmp_path / "old.pth", overwrite=True) == tmp_path / "old.safetensors"
    assert set(load_file(tmp_path / "old.safetensors")) == {"a"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.pth", "old.safetensors"]


def test_convert_of_nothing(tmp_path):
    with pytest.raises(SourceNotFound):
        convert(tmp_path / "no.pth")


# the verb


def _json(capsys, *argv):
    code = main(["models", *argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_list(capsys, folder):
    code, document = _json(capsys, "list")
    assert code == 0
    assert set(document["presets"]) == set(PRESETS)
    qwen, sam2, xmem = document["presets"]["3b"]
    assert qwen["licence"] == "LicenseRef-Qwen-Research"
    assert (sam2["model_id"], sam2["licence"], len(sam2["revision"])) == ("facebook/sam2.1-hiera-large", "Apache-2.0", 40)
    assert "model.safetensors" in sam2["missing"]
    assert xmem["folder"] == str(folder / "xmem")
    (folder / "xmem").mkdir(parents=True)
    (folder / "xmem" / "XMem.pth").write_bytes(b"x")
    assert _json(capsys, "list", "xmem")[1]["presets"]["xmem"][0]["missing"] == []
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    assert "lite: nothing to fetch" in text
    assert "249 MB  MIT" in text


def test_verify_says_which_file_is_bad(capsys, folder):
    (folder / "xmem").mkdir(parents=True)
    (folder / "xmem" / "XMem.pth").write_bytes(b"x")
    assert _json(capsys, "verify", "xmem")[0] == 0
    (folder / "xmem" / "XMem.pth").write_bytes(b"y")
    code, document = _json(capsys, "verify", "xmem")
    assert code == 4
    assert document["files"][0]["state"] == "damaged"
    assert _json(capsys, "verify", "sam2.1-tiny")[0] == 4


def test_convert_by_the_verb(capsys, tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "old.pth")
    code, document = _json(capsys, "convert", str(tmp_path / "old.pth"), "--out", str(tmp_path / "new.safetensors"))
    assert (code, document["written"]) == (0, str(tmp_path / "new.safetensors"))
    assert set(load_file(tmp_path / "new.safetensors")) == {"a"}
    assert (tmp_path / "new.safetensors").stat().st_mode & 0o444 == 0o444  # a cache may be shared


@pytest.mark.parametrize(
    "argv", [["pull"], ["verify"], ["convert"], ["convert", "a", "b"], ["list", "--out", "x"], ["list", "none"], ["erase"]]
)
def test_wrong_usage(capsys, argv):
    assert _json(capsys, *argv)[0] == 2
