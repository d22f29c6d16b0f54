"""Clips that are damaged at random: none is taken for whole, nothing crashes, nothing takes long.

The sample here is small; `benchmarks/damage.py` reads as many clips as one likes and tells the figures by codec.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.damaged import CODECS, damaged_clips, encode_scene, read_damaged, spoiled
from videoseg_r1.video import open_video

UNNOTICED = {"h264": 1, "hevc": 2, "vp9": 0, "mpeg4": 1, "av1": 0}
"""Of eight clips, those in which a decoder of this codec may take the damage for a picture: a wrong bit can decode to another valid one."""


@pytest.mark.parametrize("codec", CODECS)
def test_damage_is_noticed(tmp_path: Path, codec: str) -> None:
    found = list(damaged_clips(tmp_path, codec, 8))
    assert len(found) == 8
    silent = [deed for deed, reading in found if reading.outcome == "silent"]
    assert len(silent) <= UNNOTICED[codec], silent
    assert sum(reading.outcome == "refused" for _, reading in found) >= 4
    assert max(reading.seconds for _, reading in found) < 10


@pytest.mark.parametrize("deed", ["one bit", "64 bytes", "hole"])
def test_matroska_notices_every_wrong_byte_by_its_checksums(tmp_path: Path, deed: str) -> None:
    path = encode_scene(tmp_path / "a.mkv", "hevc")
    with open_video(path) as video:
        whole = [frame.rgb for frame in video]
    data, bad = path.read_bytes(), tmp_path / "b.mkv"
    begin = data.index(b"\x1f\x43\xb6\x75") + 20  # the first cluster
    for seed in range(8):
        bad.write_bytes(data[:begin] + spoiled(data[begin:-200], deed, np.random.default_rng(seed)) + data[-200:])
        assert read_damaged(bad, whole).outcome == "refused"


@pytest.mark.parametrize(("codec", "suffix"), [(codec, suffix) for codec, (_, _, suffixes) in CODECS.items() for suffix in suffixes])
def test_whole_clips_are_whole(tmp_path: Path, codec: str, suffix: str) -> None:
    path = encode_scene(tmp_path / f"a.{suffix}", codec)
    with open_video(path, on_corrupt="keep-all") as video:
        assert video.num_frames == 36
        assert (video.info.damaged_frames, video.info.notes) == ((), ())
