"""Families of vision-language models: the size at which pictures are fed, and the grid on which replies are written.

Only this module knows a family's sizes, coordinates and template switches. The convention of a reply follows from the family, never
from its numbers: 840 can be a pixel or a thousandth. Not here: running a model (`local`, `endpoint`), reading replies (`prompts`).

Source: docs/algorithm.md, "Coordinates of model families", from the code and documentation of transformers; the coordinates of
Qwen3.5 follow an unofficial source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from videoseg_r1.errors import unknown_name
from videoseg_r1.prompts import CANONICAL, Size
from videoseg_r1.prompts.schema import THINK
from videoseg_r1.types import RgbImage

Role: TypeAlias = Literal["target", "context"]
"""What a picture is shown for: boxes and points are asked for on the target, the others are context."""

_CONTEXT_SIDE = 448
_RELATIVE: Size = (1000, 1000)


@dataclass(frozen=True)
class Family:
    """What is specific to a family.

    Attributes:
        name: `model_type` of its configuration.
        grid: side of the square that becomes one token, in pixels; pictures are fed in multiples of it.
        relative: whether coordinates are thousandths of the picture; else they are pixels of the picture as it was fed.
        template_options: switches of its chat template.
    """

    name: str
    grid: int
    relative: bool
    template_options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def fed(self, rgb: RgbImage, role: Role) -> RgbImage:
        """Return a picture (H, W, 3) uint8 at the size at which it is fed, both sides multiples of `grid`.

        A target becomes the square nearest below 840 pixels, whatever its shape; context keeps about its shape, at most 448 pixels
        long, and is not enlarged. Source: docs/algorithm.md, "Coordinates of model families".
        """
        import cv2

        height, width = rgb.shape[:2]
        if role == "target":
            size = self._whole(CANONICAL[0]), self._whole(CANONICAL[1])
        else:
            scale = min(1.0, _CONTEXT_SIDE / max(height, width))
            size = self._nearest(width * scale), self._nearest(height * scale)
        if size == (width, height):
            return rgb
        shrinks = size[0] * size[1] < width * height
        resized = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        return np.asarray(resized, np.uint8)

    def coord_size(self, fed_size: Size) -> Size:
        """Return (width, height) of the grid on which a reply about a picture of this size, as fed, is written."""
        return _RELATIVE if self.relative else fed_size

    def convention(self, fed_size: Size) -> str:
        """Return the sentence that tells the model which coordinates to write."""
        if self.relative:
            return (
                "Coordinates are thousandths of the target frame: x from 0 at the left to 1000 at the right, y from 0 at the top to 1000."
            )
        return f"Coordinates are pixels of the target frame, which is {fed_size[0]} wide and {fed_size[1]} high, from its top left corner."

    def restored(self, reply: str, prompt: str = "") -> str:
        """Return a reply with its opening `<think>`, which the templates of thinking models put at the end of the prompt.

        Args:
            reply: what the model wrote.
            prompt: the prompt as the template wrote it, "" where it is not known.
        """
        return f"{THINK}\n{reply}" if prompt.rstrip().endswith(THINK) else reply

    def _whole(self, length: int) -> int:
        return max(1, length // self.grid) * self.grid

    def _nearest(self, length: float) -> int:
        return max(1, round(length / self.grid)) * self.grid


# thinking of Qwen3.5's own would come on top of the thinking that the prompt asks for
_NO_THINKING = MappingProxyType({"enable_thinking": False})

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family("qwen2_5_vl", 28, relative=False),
            Family("qwen3_vl", 32, relative=True),
            Family("qwen3_vl_moe", 32, relative=True),
            Family("qwen3_5", 32, relative=True, template_options=_NO_THINKING),
            Family("qwen3_5_moe", 32, relative=True, template_options=_NO_THINKING),
        )
    }
)
"""By `model_type` of config.json."""


def family_of(model_type: str) -> Family:
    """Return the family of models whose configuration says this. Raises UnknownName."""
    if model_type not in FAMILIES:
        raise unknown_name("family of chat models", model_type, FAMILIES)
    return FAMILIES[model_type]
