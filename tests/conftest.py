"""Fixtures that every test may use: the shared real data, and videos that are drawn on the spot with masks that are known."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is imported
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes have a core each

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from hypothesis import HealthCheck, settings

from helpers.places import SHARED_DATA
from videoseg_r1.types import BoolMask, RgbImage
from videoseg_r1.video import write_video

# how long an input takes to draw says more about the machine than about the test
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

if TYPE_CHECKING:  # what takes long to import is imported by the fixture that needs it
    import torch

    from helpers.chat_server import ChatServer
    from videoseg_r1.xmem import XMem


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips beside the repository; a test that needs it is skipped, with the reason, where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"shared/data is not here: {SHARED_DATA}")
    return SHARED_DATA


@dataclass(frozen=True)
class DrawnVideo:
    """A drawn clip: `path` of the mp4, `frames` (T, H, W, 3) uint8 before encoding, `masks` (T, H, W) bool of the moving shape."""

    path: Path
    frames: RgbImage
    masks: BoolMask
    fps: float

    @property
    def num_frames(self) -> int:
        return len(self.frames)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Llama with random weights. No test may write into it."""
    from helpers.tiny_learners import make_llama

    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny vision-language model with random weights. No test may write into it."""
    from helpers.tiny_vlm import make_checkpoint

    return make_checkpoint(tmp_path_factory.mktemp("vlm") / "vlm", "qwen2_5_vl")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two clips in the layout of Ref-YouTube-VOS. No test may write into it."""
    from helpers.tiny_learners import draw_clips

    return draw_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def xmem_state() -> Mapping[str, torch.Tensor]:
    """The weights of an XMem, random ones. Tests change copies of it."""
    from videoseg_r1.xmem.checkpoint import random_state

    return MappingProxyType(random_state())


@pytest.fixture(scope="session")
def xmem_network(xmem_state: Mapping[str, torch.Tensor]) -> XMem:
    """XMem with these weights, in evaluation mode."""
    from videoseg_r1.xmem import XMem

    return XMem.from_checkpoint(dict(xmem_state))


@pytest.fixture
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which weights are looked for during the test, $VIDEOSEG_MODELS; it is not there yet."""
    folder = tmp_path / "models"
    monkeypatch.setenv("VIDEOSEG_MODELS", str(folder))
    return folder


@pytest.fixture
def start_server() -> Iterator[Callable[..., ChatServer]]:
    """A function: deeds -> a server of chat completions that does them; it ends with the test."""
    from helpers.chat_server import ChatServer

    with ExitStack() as running:
        yield lambda *deeds: running.enter_context(ChatServer(*deeds))


DrawVideo = Callable[..., DrawnVideo]
EncodeVideo = Callable[..., Path]


def draw_frames(num_frames: int, width: int, height: int, color: tuple[int, int, int] = (220, 40, 40)) -> tuple[RgbImage, BoolMask]:
    """A disc that crosses a still, textured background from left to right."""
    rows, cols = np.mgrid[:height, :width]
    texture = 90 + 30 * np.sin(cols / 9) + 30 * np.cos(rows / 7)
    background = np.stack([texture, texture + 20, texture + 40], axis=-1).clip(0, 255).astype(np.uint8)
    radius = min(width, height) / 5
    centers = np.linspace(radius, width - radius, num_frames)
    masks = np.stack([(cols - x) ** 2 + (rows - height / 2) ** 2 <= radius**2 for x in centers])
    frames = np.repeat(background[None], num_frames, axis=0)
    frames[masks] = color
    return frames, masks


@pytest.fixture
def drawn_video(tmp_path: Path) -> DrawVideo:
    """A factory: draw_video(num_frames=24, width=160, height=96, fps=24.0, color=(220, 40, 40), name="drawn.mp4") -> DrawnVideo."""

    def draw(
        num_frames: int = 24,
        width: int = 160,
        height: int = 96,
        fps: float = 24.0,
        color: tuple[int, int, int] = (220, 40, 40),
        name: str = "drawn.mp4",
    ) -> DrawnVideo:
        frames, masks = draw_frames(num_frames, width, height, color)
        path = tmp_path / name
        write_video(path, frames, fps=fps, overwrite=True)
        return DrawnVideo(path, frames, masks, fps)

    return draw


@pytest.fixture
def encode_video(tmp_path: Path) -> EncodeVideo:
    """A factory for files the package itself never writes: encode_video("b.mkv", frames, codec="libx264", options={"bf": "3"}) -> Path."""

    def encode(
        name: str,
        frames: Sequence[RgbImage] | RgbImage,
        *,
        codec: str = "libx264",
        options: dict[str, str] | None = None,
        pix_fmt: str = "yuv420p",
        fps: int = 24,
        pts: Sequence[int] | None = None,
        container_options: dict[str, str] | None = None,
        rotation: int = 0,
        color_trc: int = 2,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", container_options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=fps, options=options or {})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = Fraction(1, fps)
            stream.codec_context.color_trc = color_trc
            levels = ColorRange.JPEG if "j" in pix_fmt else ColorRange.MPEG
            if rotation:
                stream.set_display_rotation(rotation)
            for index, rgb in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt, dst_color_range=levels)
                frame.pts = index if pts is None else pts[index]
                frame.time_base = Fraction(1, fps)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return encode
