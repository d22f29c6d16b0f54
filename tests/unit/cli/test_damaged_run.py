"""A run of a damaged video, and its exports: they read the frames that the run read."""

from __future__ import annotations

import json

import pytest

from helpers.damaged import encode_scene
from videoseg_r1.cli import main
from videoseg_r1.video import open_video


@pytest.mark.parametrize(("how", "is_prefix"), [("keep-prefix", True), ("keep-all", False)])
def test_an_export_reads_a_damaged_video_as_its_run_did(tmp_path, how, is_prefix):
    clip, out = encode_scene(tmp_path / "clip.mp4", "h264"), tmp_path / "out"
    data = bytearray(clip.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    clip.write_bytes(data)
    assert main(["propagate", str(clip), "--box", "8,30,40,70", "-o", str(out), "--quiet"]) == 3
    given = ("--box", "8,30,40,70", "--preset", "lite-matcher", "--propagator", "flow", "--formats", "json,rle,trace", "--quiet")
    assert main(["propagate", str(clip), *given, "-o", str(out), "--on-corrupt", how]) == 0
    document = json.loads((out / "result.json").read_text())
    assert (document["info"]["damaged_frames"] == []) is is_prefix
    count = document["video"]["num_frames"]
    assert (count < 30) is is_prefix
    for options in ((), ("--video", str(clip))):
        assert main(["export", str(out), "--to", "overlay", "--overwrite", "--quiet", *options]) == 0
        with open_video(out / "overlay.mp4") as video:
            assert video.num_frames == count
    assert main(["replay", str(out / "trace.json"), str(clip), "-o", str(tmp_path / "again"), "--on-corrupt", how, "--formats", "rle"]) == 0
