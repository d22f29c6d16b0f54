"""Scenes drawn as videos: sprites over a textured or a given background, with the exact mask of every thing in every frame.

    drawn = RenderedScene(draw_world_sample(7).scene, seed=7)
    with open_video(drawn) as video: ...
    drawn.masks(12)

The same scene and seed give the same pixels. What is nearer hides what is farther; masks hold what is left to be seen. Not here:
shadows, blur, a moving camera, limbs that move.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from videoseg_r1.errors import UsageError
from videoseg_r1.training.world.scene import Scene, Thing
from videoseg_r1.training.world.sprites import silhouette, smooth_noise, texture
from videoseg_r1.types import BoolMask, RgbImage

_OUTLINE = 0.6  # brightness of the rim that sets a thing off from what is behind it


@dataclass(frozen=True, eq=False)
class RenderedScene:
    """A scene as pictures; iterating gives the frames in order, any number of times.

    Attributes:
        scene: what is drawn, at `scene.size`.
        seed: of backgrounds and textures.
        background: (H, W, 3) uint8 of any size, stretched behind the things; a drawn texture when not given.
    """

    scene: Scene
    seed: int = 0
    background: RgbImage | None = None

    def __len__(self) -> int:
        return self.scene.num_frames

    def __iter__(self) -> Iterator[RgbImage]:
        return (self.draw(index)[0] for index in range(len(self)))

    def masks(self, index: int) -> BoolMask:
        """Return (N, H, W) bool: the visible pixels of every thing in a frame."""
        return self.draw(index)[1]

    def draw(self, index: int) -> tuple[RgbImage, BoolMask]:
        """Return a frame, (H, W, 3) uint8, and its masks, (N, H, W) bool. Raises UsageError: no such frame."""
        if not 0 <= index < len(self):
            raise UsageError("no such frame", where=f"frame {index}", why=f"there are frames 0 to {len(self) - 1}")
        rgb = self._backdrop.copy()
        masks = np.zeros((len(self.scene.things), *rgb.shape[:2]), np.bool_)
        for number, (thing, surface) in enumerate(zip(self.scene.things, self._textures, strict=True)):
            corners = self.scene.boxes[number, index] * (*self.scene.size, *self.scene.size)
            x1, y1, x2, y2 = (round(float(v)) for v in corners)
            _paint(rgb, masks, number, thing, surface, (x1, y1, max(x2, x1 + 2), max(y2, y1 + 2)))
        return rgb, masks

    @cached_property
    def _backdrop(self) -> RgbImage:
        if self.background is not None:
            return np.asarray(cv2.resize(self.background, self.scene.size, interpolation=cv2.INTER_AREA), np.uint8)
        return _landscape(np.random.default_rng([self.seed, 0]), self.scene.size)

    @cached_property
    def _textures(self) -> tuple[RgbImage, ...]:
        rng = np.random.default_rng([self.seed, 1])
        return tuple(texture(rng, thing.colours) for thing in self.scene.things)


def _paint(rgb: RgbImage, masks: BoolMask, number: int, thing: Thing, surface: RgbImage, box: tuple[int, int, int, int]) -> None:
    """Draw a thing into the frame, and take what it hides from the masks of those before it."""
    x1, y1, x2, y2 = box
    rows, columns = slice(max(0, y1), min(rgb.shape[0], y2)), slice(max(0, x1), min(rgb.shape[1], x2))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    whole = silhouette(thing.kind.shape, x2 - x1, y2 - y1, _faces_left(thing))
    skin = np.asarray(cv2.resize(surface, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR), np.uint8)
    rim = whole & (cv2.erode(np.pad(whole, 1).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1] == 0)
    skin[rim] = (skin[rim] * _OUTLINE).astype(np.uint8)
    shown = np.s_[rows.start - y1 : rows.stop - y1, columns.start - x1 : columns.stop - x1]
    part = whole[shown]
    rgb[rows, columns][part] = skin[shown][part]
    masks[:number, rows, columns] &= ~part
    masks[number, rows, columns] = part


def _faces_left(thing: Thing) -> bool:
    """Return whether the thing faces left: the way it moves first, and with it all the time, so that its shape stays."""
    across = thing.velocities[:, 0]
    moving = across[across != 0]
    return bool(len(moving) and moving[0] < 0)


def _landscape(rng: np.random.Generator, size: tuple[int, int]) -> RgbImage:
    """Return (H, W, 3) uint8: two muted colours, one above the other, with clouds of several sizes and fine grain."""
    width, height = size
    sky, ground = rng.uniform(120, 190) + rng.uniform(-22, 22, 3), rng.uniform(90, 160) + rng.uniform(-22, 22, 3)
    horizon = rng.uniform(0.25, 0.7) + 0.04 * smooth_noise(rng, width, 8)[0]
    above = (np.arange(height) / height)[:, None] < horizon
    picture = np.where(above[..., None], sky, ground)
    for cells, strength in ((4, 18), (11, 12), (40, 8)):
        side = max(size)
        picture += strength * smooth_noise(rng, side, cells)[:height, :width, None]
    picture += rng.normal(0, 3, (height, width, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)
