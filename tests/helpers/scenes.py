"""Films of drawn scenes, as `with_cuts` takes them."""

from __future__ import annotations

import cv2
import numpy as np

from videoseg_r1.stages.propagation.cuts import with_cuts
from videoseg_r1.types import Frame


def scene(seed, size=(128, 72), soft=2.0):
    """Return a picture of soft blobs, (H, W, 3) uint8; any two have the same colours."""
    rng = np.random.default_rng(seed)
    blobs = cv2.GaussianBlur(rng.normal(0, 1, (size[1], size[0], 3)), (0, 0), soft)
    return np.clip(128 + 50 * blobs / blobs.std(), 0, 255).astype(np.uint8)


def pan(picture, step, count, size=(96, 54)):
    """Return what a camera sees that moves to the right by `step` pixels a frame."""
    return [picture[: size[1], t * step : t * step + size[0]].copy() for t in range(count)]


def mixed(one, other, share):
    """Return a picture that is `share` of the other and the rest of one."""
    return np.rint(one * (1.0 - share) + other * float(share)).astype(np.uint8)


def cuts_of(film, direction="forwards", first=0):
    """Return (frame at which it is told, `frame_index`) of every cut; the frames count from `first`."""
    frames = [Frame(first + t, t / 25, rgb) for t, rgb in enumerate(film)]
    seen = list(with_cuts(frames if direction == "forwards" else reversed(frames), direction))
    assert [frame.index for frame, _ in seen] == [frame.index for frame in frames][:: 1 if direction == "forwards" else -1]
    assert all(cut is None or (cut.kind, cut.object_index, cut.direction) == ("cut", None, direction) for _, cut in seen)
    return [(frame.index, cut.frame_index) for frame, cut in seen if cut is not None]


def places(film):
    """Return where cuts are, which must be the same in both directions."""
    forwards, backwards = (sorted(place for _, place in cuts_of(film, way)) for way in ("forwards", "backwards"))
    assert forwards == backwards
    return forwards
