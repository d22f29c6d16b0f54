"""Transparency is flattened exactly; what is opaque keeps its bytes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.types import RgbImage
from videoseg_r1.video import open_video
from videoseg_r1.video.background import color_name, flatten, parse_color

COLORS = {"white": (255, 255, 255), "black": (0, 0, 0), "#0a80ff": (10, 128, 255)}


def ramp(width: int = 64, height: int = 48) -> np.ndarray:
    """RGBA uint8: colours and opacity that differ from pixel to pixel; the top row is opaque, the second invisible."""
    rows, columns = np.mgrid[:height, :width]
    rgba = np.stack([columns * 4, rows * 5, 255 - columns * 3, (rows * 7 + columns * 3) % 256], axis=-1).astype(np.uint8)
    rgba[0, :, 3], rgba[1, :, 3] = 255, 0
    return rgba


def blended(rgba: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    weight = rgba[..., 3:].astype(float) / 255
    return rgba[..., :3] * weight + np.array(color) * (1 - weight)


def first(path: Path, **how: Any) -> RgbImage:
    with open_video(path, **how) as video:
        return video.read([0])[0].rgb


def encode(path: Path, encoder: str, pixels: str, rgba: np.ndarray, num_frames: int = 3) -> Path:
    with av.open(str(path), "w") as container:
        options = {"auto-alt-ref": "0", "crf": "4", "b": "2M"} if "vpx" in encoder else {}
        stream: Any = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = rgba.shape[1], rgba.shape[0], pixels
        for number in range(num_frames):
            picture = av.VideoFrame.from_ndarray(np.roll(rgba, number, axis=1), format="rgba").reformat(format=pixels)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@given(
    rgba=arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(4))),
    color=st.tuples(*[st.integers(0, 255)] * 3),
)
@settings(max_examples=200, deadline=None)
def test_blending_is_exact_to_the_rounding(rgba: np.ndarray, color: tuple[int, int, int]) -> None:
    flat = flatten(np.ascontiguousarray(rgba[..., :3]), rgba[..., 3], color)
    assert np.abs(flat - blended(rgba, color)).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(flat[rgba[..., 3] == 255], rgba[..., :3][rgba[..., 3] == 255])


@given(color=st.tuples(*[st.integers(0, 255)] * 3))
def test_a_colour_is_read_back_by_its_name(color: tuple[int, int, int]) -> None:
    assert parse_color(color_name(color)) == color


@pytest.mark.parametrize("text", ["", "red", "#fff", "#12345g", "#1234567", "#１２３４５６", "255,255,255"])
def test_what_is_no_colour_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="#rrggbb"):
        open_video(tmp_path, background=text)


class TestPictures:
    @pytest.mark.parametrize(("name", "color"), COLORS.items())
    @pytest.mark.parametrize(("ending", "options"), [("png", {}), ("webp", {"lossless": True, "exact": True}), ("tif", {})])
    def test_photos(self, tmp_path: Path, name: str, color: tuple[int, int, int], ending: str, options: dict[str, Any]) -> None:
        Image.fromarray(ramp()).save(tmp_path / f"a.{ending}", **options)
        flat = first(tmp_path / f"a.{ending}", background=name)
        assert np.abs(flat - blended(ramp(), color)).max() <= 0.5 + 1e-9
        with open_video(tmp_path / f"a.{ending}", background=name) as video:
            assert video.info.notes == (f"transparency is flattened on {name}",)
            assert video.info.background == name

    @pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "I;16"])
    def test_one_transparent_value(self, tmp_path: Path, mode: str) -> None:
        values = np.arange(64 * 48).reshape(48, 64)
        if mode == "I;16":
            image, key = Image.fromarray((values * 20).astype(np.uint16)), 2000
            hidden = values * 20 == 2000
        elif mode == "1":
            image, key, hidden = Image.fromarray(values % 3 == 0), 0, values % 3 != 0
        else:
            grey = Image.fromarray((values % 256).astype(np.uint8))
            image = grey if mode == "L" else grey.convert(mode)
            key, hidden = ((7, 7, 7) if mode == "RGB" else 7), values % 256 == 7
        assert image.mode == mode
        image.save(tmp_path / "a.png")
        plain = first(tmp_path / "a.png")
        image.save(tmp_path / "a.png", transparency=key)
        flat = first(tmp_path / "a.png", background="#0a80ff")
        np.testing.assert_array_equal(flat, np.where(hidden[..., None], (10, 128, 255), plain))

    def test_a_palette_with_opacities(self, tmp_path: Path) -> None:
        values = np.arange(64 * 48).reshape(48, 64) % 256
        image = Image.fromarray(values.astype(np.uint8)).convert("P")
        image.save(tmp_path / "a.png", transparency=bytes(range(256)))
        rgba = np.stack([values, values, values, values], axis=-1).astype(np.uint8)
        assert np.abs(first(tmp_path / "a.png") - blended(rgba, (255, 255, 255))).max() <= 0.5 + 1e-9

    @pytest.mark.parametrize("ending", ["png", "webp"])
    def test_animations_that_become_transparent(self, tmp_path: Path, ending: str) -> None:
        opaque = ramp()
        opaque[..., 3] = 255
        frames = [Image.fromarray(opaque), Image.fromarray(ramp())]
        options = {"blend": 0} if ending == "png" else {"lossless": True, "exact": True}
        frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], duration=100, **options)
        with open_video(tmp_path / f"a.{ending}", background="black") as video:
            assert video.info.notes == ()
            shown = [frame.rgb for frame in video]
            np.testing.assert_array_equal(shown[0], opaque[..., :3])
            assert np.abs(shown[1] - blended(ramp(), (0, 0, 0))).max() <= 0.5 + 1e-9
            assert video.info.notes == ("transparency is flattened on black",)

    def test_a_gif(self, tmp_path: Path) -> None:
        image = Image.new("P", (64, 48), 1)
        image.putpalette([9, 9, 9, 200, 100, 50])
        image.paste(0, (0, 0, 32, 48))
        image.save(tmp_path / "a.gif", transparency=0)
        flat = first(tmp_path / "a.gif")
        assert (flat[:, :32] == 255).all()
        assert (flat[:, 32:] == (200, 100, 50)).all()

    def test_folders(self, tmp_path: Path) -> None:
        for number in range(2):
            Image.fromarray(ramp()).save(tmp_path / f"{number}.png")
        with open_video(tmp_path, background="black") as video:
            assert np.abs(video.read([1])[0].rgb - blended(ramp(), (0, 0, 0))).max() <= 0.5 + 1e-9
            assert video.info.notes == ("transparency is flattened on black",)

    @pytest.mark.parametrize("ending", ["png", "webp", "gif", "bmp", "tif", "jpg"])
    def test_opaque_pictures_keep_their_bytes(self, tmp_path: Path, ending: str) -> None:
        Image.fromarray(ramp()[..., :3]).save(tmp_path / f"a.{ending}")
        with Image.open(tmp_path / f"a.{ending}") as image:
            wanted = np.array(image.convert("RGB"))
        with open_video(tmp_path / f"a.{ending}", background="black") as video:
            np.testing.assert_array_equal(video.read([0])[0].rgb, wanted)
            assert video.info.notes == ()


class TestVideos:
    @pytest.mark.parametrize(("name", "color"), COLORS.items())
    @pytest.mark.parametrize(
        ("file", "encoder", "pixels"),
        [
            ("a.mov", "qtrle", "argb"),
            ("b.mkv", "ffv1", "bgra"),
            ("c.mov", "png", "rgba"),
            ("d.avi", "utvideo", "gbrap"),
            ("e.nut", "rawvideo", "rgba"),
        ],
    )
    def test_lossless_ones_are_exact(
        self, tmp_path: Path, name: str, color: tuple[int, int, int], file: str, encoder: str, pixels: str
    ) -> None:
        path = encode(tmp_path / file, encoder, pixels, ramp())
        with open_video(path, background=name) as video:
            assert video.info.notes == (f"transparency is flattened on {name}",)
            for frame in video:
                assert np.abs(frame.rgb - blended(np.roll(ramp(), frame.index, axis=1), color)).max() <= 0.5 + 1e-9
            np.testing.assert_array_equal(video.read([1])[0].rgb, next(iter(video.frames(1))).rgb)

    @pytest.mark.parametrize(
        ("file", "encoder", "pixels"),
        [
            ("a.mov", "prores_ks", "yuva444p10le"),
            ("b.webm", "libvpx-vp9", "yuva420p"),
            ("c.webm", "libvpx", "yuva420p"),
            ("d.mkv", "libvpx-vp9", "yuva420p"),
        ],
    )
    def test_lossy_ones_are_near(self, tmp_path: Path, file: str, encoder: str, pixels: str) -> None:
        rgba = np.empty((48, 64, 4), np.uint8)
        rgba[:] = (200, 60, 40, 255)
        rgba[:, 32:, 3] = 0
        rgba[24:, :32, 3] = 128
        path = encode(tmp_path / file, encoder, pixels, rgba)
        with open_video(path, background="#00ff00") as video:
            rgb = video.read([0])[0].rgb.astype(int)
            assert video.info.notes == ("transparency is flattened on #00ff00",)
            assert [frame.index for frame in video.frames(reverse=True)] == [2, 1, 0]
        for wanted, part in (((200, 60, 40), rgb[4:20, 4:28]), ((0, 255, 0), rgb[4:44, 36:60]), ((100, 157, 20), rgb[28:44, 4:28])):
            assert np.abs(part.mean(axis=(0, 1)) - wanted).max() < 8

    @pytest.mark.parametrize(
        ("file", "encoder", "pixels"), [("a.mov", "qtrle", "argb"), ("b.mov", "prores_ks", "yuva444p10le"), ("c.mkv", "ffv1", "yuva420p")]
    )
    def test_an_opaque_one_with_an_alpha_channel_keeps_its_bytes(self, tmp_path: Path, file: str, encoder: str, pixels: str) -> None:
        rgba = ramp()
        rgba[..., 3] = 255
        path = encode(tmp_path / file, encoder, pixels, rgba)
        with av.open(str(path)) as container:
            wanted = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
        with open_video(path, background="black") as video:
            for frame in video:
                np.testing.assert_array_equal(frame.rgb, wanted[frame.index])
            assert video.info.notes == ()
