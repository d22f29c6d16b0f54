"""Write videos: H.264 that plays in browsers, and two kinds with transparency, VP9 for the web and ProRes 4444 for editors.

Frames are encoded as they come, so memory does not grow with the length. The file appears under its name only when it is complete.
"""

from __future__ import annotations

import errno
import math
import secrets
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from videoseg_r1.errors import InvalidConfig, OutputError, OutputExists, ShapeMismatch, SourceNotFound, UsageError, unknown_name
from videoseg_r1.video.audio import SoundCarrier
from videoseg_r1.video.base import DEFAULT_FPS
from videoseg_r1.video.webm import declare_display_size

Codec: TypeAlias = Literal["h264", "vp9-alpha", "prores4444"]
_TICKS = 90_000
_BT709 = 1


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How one kind of output is encoded; `even` asks for padding, as 4:2:0 H.264 cannot have odd sizes."""

    encoder: str
    container: str
    suffixes: tuple[str, ...]
    pix_fmt: str
    channels: int
    options: dict[str, str]
    container_options: dict[str, str] = field(default_factory=dict[str, str])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    even: bool = False


_RECIPES: dict[Codec, _Recipe] = {
    # No B-frames: then the muxer writes the true duration of every frame, and needs no edit list.
    "h264": _Recipe(
        encoder="libx264",
        container="mp4",
        suffixes=(".mp4", ".m4v"),
        pix_fmt="yuv420p",
        channels=3,
        options={"crf": "18", "preset": "superfast", "bf": "0", "g": "60"},
        container_options={"movflags": "+faststart"},
        even=True,
    ),
    # Hidden reference frames (auto-alt-ref) do not work together with alpha in libvpx.
    "vp9-alpha": _Recipe(
        encoder="libvpx-vp9",
        container="webm",
        suffixes=(".webm",),
        pix_fmt="yuva420p",
        channels=4,
        options={"crf": "24", "b": "0", "auto-alt-ref": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1", "g": "60"},
        metadata={"alpha_mode": "1"},
    ),
    "prores4444": _Recipe(
        encoder="prores_ks",
        container="mov",
        suffixes=(".mov",),
        pix_fmt="yuva444p10le",
        channels=4,
        options={"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},
    ),
}


class VideoWriter:
    """Write frames one by one; a context manager. Leaving it with an exception removes what was written.

    Args:
        path: output file; its folder must exist and its ending fit the codec: .mp4, .webm or .mov.
        codec: "h264" takes RGB frames (H, W, 3), "vp9-alpha" and "prores4444" take RGBA (H, W, 4) with straight alpha, all uint8.
        fps: rate of frames without a time of their own, and the rate written to the header; 24 when it is not given.
        audio_from: video file whose sound is carried over, as far as the pictures go: copied where this kind of file can hold it and
            browsers play it, otherwise converted to AAC or Opus.
        pixel_aspect: width : height of a pixel, as in `VideoInfo.pixel_aspect`; players stretch the pictures by it.
        overwrite: replace a file that is there.
    Raises: OutputExists, OutputError; UsageError: the ending does not fit, or no frame was written; UnknownName: no such codec.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        codec: Codec = "h264",
        fps: float | None = None,
        audio_from: str | Path | None = None,
        pixel_aspect: tuple[int, int] = (1, 1),
        overwrite: bool = False,
    ) -> None:
        self._path = Path(path)
        if codec not in _RECIPES:
            raise unknown_name("codec", codec, _RECIPES)
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise InvalidConfig("fps must be a positive number", where="fps", why=f"it is {fps}")
        if min(pixel_aspect) < 1:
            raise InvalidConfig("width and height of a pixel must be 1 or more", where="pixel_aspect", why=f"it is {pixel_aspect}")
        self._recipe, self._overwrite, self._pixel_aspect = _RECIPES[codec], overwrite, Fraction(*pixel_aspect)
        if self._path.suffix.lower() not in self._recipe.suffixes:
            fix = f"let the name end with {' or '.join(self._recipe.suffixes)}"
            raise UsageError("the ending of the file does not fit its content", where=str(path), why=f"{codec} is written", fix=fix)
        self._refuse_existing()
        self._rate = Fraction(fps or DEFAULT_FPS).limit_denominator(100_000)
        self._audio_from = None if audio_from is None else Path(audio_from)
        if self._audio_from is not None and not self._audio_from.is_file():
            raise SourceNotFound("there is no file to copy the sound from", where=str(audio_from))
        # not `files.staged`: the writer lives for minutes, as an object, and ffmpeg wants the name before the first frame
        self._partial = self._path.absolute().with_name(f".{self._path.name}.{secrets.token_hex(4)}.part")
        self._container: OutputContainer | None = None
        self._audio: SoundCarrier | None = None
        self._held: VideoFrame | None = None
        self._last_ticks = 0
        self._shape: tuple[int, ...] = ()
        self._padding: tuple[str, ...] = ()
        self._count = 0
        self._reformatter = VideoReformatter()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the output: sound that was converted or left out, pictures that were padded."""
        return (*self._padding, *(self._audio.notes if self._audio else ()))

    def write(self, pixels: npt.NDArray[np.uint8], time_s: float | None = None) -> None:
        """Append one frame.

        Args:
            pixels: (H, W, 3) or (H, W, 4) uint8, see `codec`; all of one size.
            time_s: when it is shown, in seconds from the first frame of the source; by default the frames follow each other at `fps`.
        Raises: ShapeMismatch; UsageError: the time is before that of the last frame; OutputError: the file cannot be written.
        """
        self._check(pixels)
        if time_s is not None and not math.isfinite(time_s):
            raise UsageError(
                "the time of a frame must be a finite number", where=f"{self._path}, frame {self._count}", why=f"it is {time_s}"
            )
        ticks = round((self._count / self._rate if time_s is None else time_s) * _TICKS)
        if ticks < self._last_ticks:
            raise UsageError("times of frames must not be negative or run backwards", where=f"{self._path}, frame {self._count}")
        self._last_ticks = ticks
        with self._mapped():
            container, stream = self._open(pixels.shape[0], pixels.shape[1])
            frame = self._converted(pixels)
            # frames of the same time follow each other by the shortest possible time: containers want time stamps that differ
            frame.pts = ticks if self._held is None else max(ticks, (self._held.pts or 0) + 1)
            frame.time_base = stream.codec_context.time_base
            self._encode_held(container, stream, frame.pts)
        self._held = frame
        self._count += 1

    def _check(self, pixels: npt.NDArray[np.uint8]) -> None:
        where = f"{self._path}, frame {self._count}"
        if pixels.ndim != 3 or pixels.shape[2] != self._recipe.channels or pixels.dtype != np.uint8:
            why = f"it is {pixels.dtype} of shape {pixels.shape}"
            raise ShapeMismatch(f"a frame must be uint8 of shape (H, W, {self._recipe.channels})", where=where, why=why)
        if pixels.shape != (self._shape or pixels.shape):
            raise ShapeMismatch("the frames do not share one size", where=where, why=f"{self._shape} before, {pixels.shape} now")
        self._shape = pixels.shape

    def _open(self, height: int, width: int) -> tuple[OutputContainer, VideoStream]:
        """Create the file when the first frame tells its size."""
        if self._container is None:
            recipe = self._recipe
            self._container = av.open(str(self._partial), "w", format=recipe.container, container_options=recipe.container_options)
            stream: VideoStream = self._container.add_stream(recipe.encoder, rate=self._rate, options=recipe.options)  # pyright: ignore[reportAssignmentType]
            pad = 1 if recipe.even else 0
            stream.width, stream.height, stream.pix_fmt = width + (width & pad), height + (height & pad), recipe.pix_fmt
            if (stream.width, stream.height) != (width, height):
                sizes = f"from {width} x {height} to {stream.width} x {stream.height}"
                self._padding = (f"the pictures are padded {sizes}, with copies of their edge: H.264 has even sizes only",)
            stream.metadata.update(recipe.metadata)
            context = stream.codec_context
            context.time_base = Fraction(1, _TICKS)
            context.sample_aspect_ratio = self._pixel_aspect
            context.flags |= Flags.frame_duration
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = ColorRange.MPEG
            self._audio = SoundCarrier(self._audio_from, self._container) if self._audio_from else None
        return self._container, self._container.streams.video[0]

    def _converted(self, pixels: npt.NDArray[np.uint8]) -> VideoFrame:
        if self._recipe.even:
            pixels = np.pad(pixels, ((0, pixels.shape[0] & 1), (0, pixels.shape[1] & 1), (0, 0)), mode="edge")
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24" if self._recipe.channels == 3 else "rgba")
        return self._reformatter.reformat(
            frame, format=self._recipe.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )

    def _encode_held(self, container: OutputContainer, stream: VideoStream, until: int) -> None:
        """Encode the frame before: only now it is known how long it is shown."""
        if self._held is not None:
            self._held.duration = until - (self._held.pts or 0)
            container.mux(stream.encode(self._held))
        if self._audio is not None:
            self._audio.copy_until(until / _TICKS)

    def _finish(self) -> None:
        if self._container is None or self._held is None:
            raise UsageError("no frame was written", where=str(self._path))
        with self._mapped():
            stream = self._container.streams.video[0]
            self._encode_held(self._container, stream, (self._held.pts or 0) + round(_TICKS / self._rate))
            self._container.mux(stream.encode(None))
            if self._audio is not None:
                self._audio.finish()
            self._close()
            if self._recipe.container == "webm" and self._pixel_aspect != 1:
                declare_display_size(self._partial, (round(stream.width * self._pixel_aspect), stream.height))
            self._refuse_existing()
            self._partial.replace(self._path)

    def _close(self) -> None:
        if self._audio is not None:
            self._audio.close()
        if self._container is not None:
            self._container.close()

    def _discard(self) -> None:
        with suppress(FFmpegError, OSError):
            self._close()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def _refuse_existing(self) -> None:
        if self._path.exists() and not self._overwrite:
            raise OutputExists(
                "the output is there already", where=str(self._path), fix="choose another name, or overwrite it (--overwrite)"
            )

    @contextmanager
    def _mapped(self) -> Generator[None]:
        try:
            yield
        except (FFmpegError, OSError) as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            fix = "free some space and run it again" if full else "check that the folder exists and may be written"
            raise OutputError("the video cannot be written", where=str(self._path), why=error.strerror or str(error), fix=fix) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()


def write_video(
    path: str | Path,
    frames: Iterable[npt.NDArray[np.uint8]],
    *,
    times: Sequence[float] | None = None,
    fps: float | None = None,
    codec: Codec = "h264",
    audio_from: str | Path | None = None,
    pixel_aspect: tuple[int, int] = (1, 1),
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write all frames to a file, with the options of VideoWriter; `times` has one time per frame, such as `Video.times`.

    Without `fps` the average of the times is the rate.

    Returns: notes, such as sound that was converted or left out.
    Raises: as VideoWriter; ShapeMismatch: not as many times as frames.
    """
    if fps is None and times is not None and len(times) > 1 and times[-1] > times[0]:
        fps = (len(times) - 1) / (times[-1] - times[0])
    with VideoWriter(path, codec=codec, fps=fps, audio_from=audio_from, pixel_aspect=pixel_aspect, overwrite=overwrite) as writer:
        count = 0
        for count, pixels in enumerate(frames, start=1):
            if times is not None and count > len(times):
                break
            writer.write(pixels, None if times is None else times[count - 1])
        if times is not None and count != len(times):
            why = f"{'at least ' if count > len(times) else ''}{count} frames, {len(times)} times"
            raise ShapeMismatch("there must be one time per frame", where=str(path), why=why)
    return writer.notes
