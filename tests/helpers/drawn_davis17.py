"""A folder of DAVIS-2017 with expressions, drawn here: squares that move, palette masks, a late object, pixels that do not count.

fox     objects 2 (from the left), 7 (from frame 2 on, where it comes in) and 5 (which no expression means); the top rows are void
gnu     object 1
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from videoseg_r1.masks import VOID, write_label_png

WIDTH, HEIGHT, LENGTH = 64, 48, 6
LATE = 2
"""The frame that first shows object 7 of the fox clip."""
VOID_ROWS = 4
COLOURS = {1: (200, 40, 40), 2: (40, 200, 40), 5: (40, 40, 220), 7: (220, 220, 40)}
EXPRESSIONS = {
    "fox": {
        "0": ("the green one", "2", "referring"),
        "1": ("the one that comes in late", "7", "motion"),
        "2": ("the green and the yellow one", "2,7", "several"),
        "3": ("the elephant", None, "absent"),
        "4": ("which is the colour of grass?", "2", "reasoning"),
    },
    "gnu": {"0": ("the red one", "1", "referring")},
}


def labels_of(clip: str, index: int) -> np.ndarray:
    """Return (H, W) uint8: the object of every pixel of a frame, 0 and 255 included."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    if clip == "gnu":
        labels[10:30, 6 + 2 * index : 26 + 2 * index] = 1
        return labels
    labels[8:20, 4 + 2 * index : 16 + 2 * index] = 2
    labels[26:38, 44 - index : 56 - index] = 5
    if index >= LATE:
        labels[30:42, 4 + index : 16 + index] = 7
    labels[:VOID_ROWS] = VOID
    return labels


def draw_davis17(root: Path) -> Path:
    """Write both clips and their JSON into a folder; return it."""
    texture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    videos: dict[str, object] = {}
    for clip, sentences in EXPRESSIONS.items():
        for folder in ("JPEGImages", "Annotations"):
            (root / folder / "480p" / clip).mkdir(parents=True)
        for index in range(LENGTH):
            labels = labels_of(clip, index)
            rgb = 60 + texture
            for number, colour in COLOURS.items():
                rgb[labels == number] = colour
            Image.fromarray(rgb.astype(np.uint8)).save(root / "JPEGImages" / "480p" / clip / f"{index:05d}.jpg", quality=95)
            write_label_png(root / "Annotations" / "480p" / clip / f"{index:05d}.png", labels)
        seen = sorted({int(n) for index in range(LENGTH) for n in np.unique(labels_of(clip, index))} - {0, VOID})
        videos[clip] = {
            "frames": [f"{index:05d}" for index in range(LENGTH)],
            "width": WIDTH,
            "height": HEIGHT,
            "objects": {str(number): {} for number in seen},
            "expressions": {key: {"exp": text, "obj_id": ids, "kind": kind} for key, (text, ids, kind) in sentences.items()},
        }
    (root / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    return root
