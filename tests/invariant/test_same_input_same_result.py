"""Equal input, settings and seed give equal bytes; replaying a trace gives the same masks without the language stages."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import videoseg_r1 as vs
from videoseg_r1.cli.demo import CLIP
from videoseg_r1.metrics import region_similarity
from videoseg_r1.video import open_video, write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Three frames of the shipped clip, spread over it, so that the target enters late."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with resources.as_file(resources.files("videoseg_r1") / "demo" / CLIP) as source, open_video(source) as video:
        write_video(path, [frame.rgb for frame in video.read(range(0, 120, 40))], fps=2.0)
    return path


FEW_VOTES = {"num_intervals": 2, "num_positions": 2}


@pytest.mark.timeout(400)
def test_two_runs_give_the_same_bytes_and_replay_gives_the_same_masks(clip, tmp_path):
    runs = []
    for name in ("one", "two"):
        result = vs.load("lite", sampler=FEW_VOTES).segment(clip, "the animal that stretches its arms", seed=3)
        runs.append(result)
        result.save(tmp_path / name, formats=["rle", "trace", "png"])
    files = [sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.*")) for name in ("one", "two")]
    assert files[0] == files[1]
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in files[0])
    assert len(runs[0].tracks) == 1

    again = vs.load("lite", sampler=FEW_VOTES).replay(vs.Trace.read(tmp_path / "one" / "trace.json"), clip)
    assert "reason" not in again.timings_s
    assert all((again.masks(i) == runs[0].masks(i)).all() for i in range(runs[0].num_frames))


def test_source_kinds_do_not_matter(drawn_video):
    """A file, its frames as an array, and an iterator over them hold the same pictures, so the masks are the same, and the right ones."""
    drawn = drawn_video(num_frames=10)
    with open_video(drawn.path) as video:
        frames = np.stack([frame.rgb for frame in video])
    segmenter = vs.load("lite")
    file, array, stream = (segmenter.propagate(source, {5: drawn.masks[5]}) for source in (drawn.path, frames, iter(frames)))
    for index, true in enumerate(drawn.masks):
        assert region_similarity(file.mask(index), true) > 0.6  # a mask that stays where it was given has 0 at both ends
        np.testing.assert_array_equal(array.mask(index), file.mask(index))
        np.testing.assert_array_equal(stream.mask(index), file.mask(index))
    assert file.num_frames == array.num_frames == stream.num_frames == len(drawn.masks)
