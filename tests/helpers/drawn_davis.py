"""A folder of DAVIS-2016 with expressions, drawn here: four clips, each with four expressions of which the last means nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from videoseg_r1.datasets.davis import load_davis16
from videoseg_r1.datasets.sample import Sample, samples_of

WIDTH, HEIGHT = 48, 32
LENGTHS = {"ant": 4, "bee": 6, "cow": 5, "doe": 4}
KINDS = ("referring", "referring", "motion", "absent")


def gold_mask(clip: str, index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4 : 10 + index, 3 * (ord(clip[0]) - ord("a")) : 20] = True
    return mask


def write_clip(root: Path, clip: str, num_frames: int) -> dict[str, object]:
    frames = [f"{index:05d}" for index in range(num_frames)]
    for folder in ("JPEGImages", "Annotations"):
        (root / folder / "480p" / clip).mkdir(parents=True)
    for index, frame in enumerate(frames):
        rgb = np.full((HEIGHT, WIDTH, 3), 40 * (ord(clip[0]) - ord("a")) + 5 * index, np.uint8)
        Image.fromarray(rgb).save(root / "JPEGImages" / "480p" / clip / f"{frame}.jpg", quality=95)
        Image.fromarray(gold_mask(clip, index).astype(np.uint8) * 255).save(root / "Annotations" / "480p" / clip / f"{frame}.png")
    expressions = {
        str(k): {"exp": f"{clip} {kind} {k}", "kind": kind, "obj_id": None if kind == "absent" else "1", "best_frame": None}
        for k, kind in enumerate(KINDS)
    }
    expressions["0"] |= {"best_frame": num_frames - 1, "difficulty": {"scene_complexity": 3}}
    return {"frames": frames, "width": WIDTH, "height": HEIGHT, "objects": {"1": {}}, "expressions": expressions}


def draw_davis(root: Path) -> Path:
    """Write all clips and their JSON into a folder; return it."""
    meta = {"videos": {clip: write_clip(root, clip, length) for clip, length in LENGTHS.items()}}
    (root / "meta_expressions.json").write_text(json.dumps(meta))
    return root


def load(root: Path, videos: list[str] | None = None) -> list[Sample]:
    """Return the samples of the folder, all or those of some clips."""
    return samples_of(load_davis16(root, videos))


def by_name(samples: list[Sample]) -> dict[str, Sample]:
    """Return samples by "video/expression"."""
    return {f"{sample.video_id}/{sample.expression_id}": sample for sample in samples}
