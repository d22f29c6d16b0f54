"""A list of pictures as a video: in the order of the list, by index, backwards, and closed when it is closed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videoseg_r1.datasets.listed_frames import ListedFrames
from videoseg_r1.errors import SourceNotFound, UsageError


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    for number in range(4):
        Image.fromarray(np.full((20, 30, 3), 50 * number, np.uint8)).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in (2, 0, 3)]


def test_frames_come_in_the_order_of_the_list(paths: list[Path]) -> None:
    with ListedFrames(paths) as video:
        assert (video.info.width, video.info.height, video.num_frames, video.info.frame_names) == (30, 20, 3, ("2", "0", "3"))
        assert [(frame.index, int(frame.rgb.mean())) for frame in video] == [(0, 100), (1, 0), (2, 150)]
        assert [frame.index for frame in video.frames(1, reverse=True)] == [2, 1]
        assert [frame.index for frame in video.read([2, 0, 2])] == [2, 0, 2]
        assert video.times == pytest.approx((0, 1 / 6, 2 / 6))
        assert list(video.frames(9)) == []


def test_a_picture_that_is_not_there_is_named_when_it_is_read(paths: list[Path]) -> None:
    paths[1].unlink()
    with ListedFrames(paths) as video:
        assert video.read([0])[0].index == 0
        with pytest.raises(SourceNotFound, match=r"0\.png"):
            video.read([1])


def test_a_closed_video_reads_nothing(paths: list[Path]) -> None:
    video = ListedFrames(paths)
    video.close()
    with pytest.raises(UsageError, match="closed"):
        video.read([0])
