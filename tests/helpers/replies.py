"""Replies as models write them: objects in answers, ratings, and the truths that rewards compare them with."""

from __future__ import annotations

import json

import numpy as np

from helpers.shapes import rectangle
from videoseg_r1.difficulty import RATINGS
from videoseg_r1.rewards import Truth, truth_of
from videoseg_r1.types import BoolMask

GRID = 840
"""Side of the grid that coordinates in replies refer to."""


def reply(answer: object, think: str = "The dog is on the left.") -> str:
    """Return a whole reply. Args: `answer` is written as JSON, or as it is where it is a string."""
    body = answer if isinstance(answer, str) else json.dumps(answer)
    return f"<think>{think}</think>\n<answer>{body}</answer>"


def reply_with(*objects: object, think: str = "the left one. It moves") -> str:
    """Return a reply whose answer is a list of these objects, see `answered`."""
    return reply(list(objects), think)


def answered(box: object, point: object, negatives: object = None, **more: object) -> dict[str, object]:
    """Return one object of an answer; parts that are None are left out."""
    item = {"bbox_2d": box, "point_2d": point, "neg_point_2d": negatives, **more}
    return {key: value for key, value in item.items() if value is not None}


def ratings_reply(*values: float) -> str:
    """Return the five ratings of a difficulty as a model writes them."""
    return json.dumps(dict(zip(RATINGS, values, strict=True)))


def corner_mask(x1: int, y1: int, x2: int, y2: int) -> BoolMask:
    """Return a (840, 840) bool mask, true from (x1, y1) to (x2, y2), both included, as the boxes of a `Truth` have it."""
    return rectangle((GRID, GRID), x1, y1, x2 + 1, y2 + 1)


def truth_with(*corners: tuple[int, int, int, int], budget: int | None = None) -> Truth:
    """Return the truth of these rectangles (x1, y1, x2, y2), corners included; of no target where there are none."""
    masks = [corner_mask(*each) for each in corners]
    return truth_of(np.stack(masks) if masks else np.zeros((0, GRID, GRID), bool), budget=budget)
