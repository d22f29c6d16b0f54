"""Composites with exact outlines, and what a tracker on cells of 8 pixels would say about them: what `train_outline.py` learns from.

Each example is two pictures of one cutout over a background: between them it moves, bends and grows, and so does the camera. The first
picture and its mask are what a tracker remembers; the coarse log odds of the second come from the same two witnesses that the tracker of
`lite` asks (nearest cells, and a logistic model of appearance, on the same frozen backbone). A second and a third version are made from
the truth by plain damage.

Surfaces come from the demo clip, from photos that ship with scikit-image (astronaut, chelsea, coffee, rocket, brick, grass, gravel: public
domain or CC0) and scikit-learn (china, flower: CC BY 2.0), and from the drawn world; shapes from the drawn world, from random curves and
limbs, from glyphs of an installed font, and, on demo clip and photos, from U2-Net-p where it is sure. No evaluation data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

from videoseg_r1.lite.perception.backbone import load_backbone, prepare
from videoseg_r1.lite.perception.saliency import load_saliency
from videoseg_r1.training.world.sprites import PAINTS, silhouette, smooth_noise, texture

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator

SIDE = 256
CELLS = SIDE // 8
_SPRITES = ("beast", "bird", "fish", "car", "truck", "cycle", "plane", "boat", "person", "ball", "box", "bug", "long")
_FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"
_GLYPHS = "ABEFGHKMRSTXYZ23456789&@#%$?♞♟♜♣♠♥★☂☎✈✂⚓☃♫✌❄☺♛"
_READ_FLOOR, _FIT_FLOOR = 0.018, 0.0025  # the tracker's: what a witness leaves to chance


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        picture: (SIDE, SIDE, 3).
        cover: (SIDE, SIDE) in 0..1, how much of each pixel is the cutout.
        odds: (3, CELLS, CELLS), three versions of the coarse log odds: from the two witnesses, much damage, less damage.
        maps: of the backbone for the picture, strides 2, 4, 8 and 16 (two).
    """

    picture: Pixels
    cover: Floats
    odds: Floats
    maps: list[torch.Tensor]


def draw_example(rng: Rng) -> Example:
    """Return an example; the same state of `rng` gives the same one."""
    if rng.random() < 0.12:
        first, second = _pseudo_pair(rng)
    else:
        first, second = _composite_pair(rng)
    cells = _cells(first[1]) if rng.random() < 0.5 else _probability(_damaged(rng, first[1], 0.4))
    told, maps = _witnesses(first[0], cells, second[0])
    odds = np.stack([told, _damaged(rng, second[1], 1.0), _damaged(rng, second[1], 0.6)])
    return Example(second[0], second[1], odds.astype(np.float32), maps)


# --- surfaces


@cache
def _photos() -> list[Pixels]:
    import skimage.data
    import sklearn.datasets

    names = ("astronaut", "chelsea", "coffee", "rocket", "brick", "grass", "gravel")
    photos = [np.asarray(getattr(skimage.data, name)()) for name in names]
    photos += [np.asarray(sklearn.datasets.load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    return [np.ascontiguousarray(p if p.ndim == 3 else np.repeat(p[..., None], 3, 2))[..., :3] for p in photos]


@cache
def _clip() -> list[Pixels]:
    from importlib import resources

    from videoseg_r1.video import open_video

    with open_video(str(resources.files("videoseg_r1") / "demo" / "big_buck_bunny.mp4")) as video:
        return [np.asarray(frame.rgb) for index, frame in enumerate(video) if index % 12 == 0]


def _surface(rng: Rng, side: int) -> Pixels:
    """Return a patch (side, side, 3) of a photo, of the clip, of the drawn world, or of noise in two colours."""
    kind = rng.random()
    if kind < 0.8:
        pool = _photos() if rng.random() < 0.65 else _clip()
        source = pool[int(rng.integers(len(pool)))]
        height, width = source.shape[:2]
        cut = int(rng.uniform(0.25, 1.0) * min(height, width))
        y, x = int(rng.integers(height - cut + 1)), int(rng.integers(width - cut + 1))
        patch = cv2.resize(source[y : y + cut, x : x + cut], (side, side), interpolation=cv2.INTER_AREA if cut > side else cv2.INTER_CUBIC)
        patch = np.rot90(patch, int(rng.integers(4)) if rng.random() < 0.3 else 0)
        patch = patch[:, ::-1] if rng.random() < 0.5 else patch
    elif kind < 0.9:
        names = rng.choice(list(PAINTS), 2, replace=False)
        patch = cv2.resize(texture(rng, list(names)), (side, side), interpolation=cv2.INTER_LINEAR)
    else:
        blend = 0.5 + 0.5 * smooth_noise(rng, side, int(rng.integers(3, 24)))[..., None]
        patch = blend * rng.uniform(0, 255, 3) + (1 - blend) * rng.uniform(0, 255, 3)
    return _tinted(rng, np.asarray(patch, np.float32), 0.5)


def _tinted(rng: Rng, patch: Floats, strength: float) -> Pixels:
    gain = np.exp(rng.normal(0, 0.35 * strength) + rng.normal(0, 0.25 * strength, 3))
    grey = patch.mean(2, keepdims=True)
    keep = rng.uniform(1 - strength, 1.2)
    return np.clip((grey + keep * (patch - grey)) * gain + rng.normal(0, 30 * strength), 0, 255).astype(np.uint8)


# --- shapes


def _shape(rng: Rng, size: int) -> Floats:
    """Return a shape of about `size` pixels in the middle of a canvas, cover (SIDE, SIDE) in 0..1."""
    kind, scale = rng.random(), 2
    side = SIDE * scale
    canvas = np.zeros((side, side), np.uint8)
    half = size * scale / 2
    if kind < 0.3:
        width, height = (int(2 * half * rng.uniform(0.7, 1.3)) for _ in range(2))
        drawn = silhouette(str(rng.choice(_SPRITES)), width, height, bool(rng.random() < 0.5))[:side, :side]
        y, x = (side - drawn.shape[0]) // 2, (side - drawn.shape[1]) // 2
        canvas[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    elif kind < 0.5:
        _fill(canvas, _curve(rng, half, int(rng.integers(2, 9))))
    elif kind < 0.58:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        _fill(canvas, side / 2 + half * rng.uniform(0.4, 1.1, (len(angles), 1)) * np.stack([np.cos(angles), np.sin(angles)], 1))
    elif kind < 0.85:
        _limbed(rng, canvas, half)
    else:
        image = Image.fromarray(canvas)
        font = ImageFont.truetype(_FONT, int(2.2 * half))
        ImageDraw.Draw(image).text((side / 2, side / 2), str(rng.choice(list(_GLYPHS))), 255, font=font, anchor="mm")
        canvas = (np.asarray(image) > 127).astype(np.uint8)
    cover = cv2.resize(canvas.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(_warped(rng, [cover], 0, 25 if kind >= 0.3 else 15, 0.1)[0])


def _curve(rng: Rng, radius: float, waves: int) -> npt.NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    radii = np.ones_like(angles)
    for k in range(1, waves + 1):
        radii += rng.normal(0, 0.35 / k**0.7) * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    radii = np.clip(radii, 0.15, 1.8) * radius
    return SIDE + np.stack([radii * np.cos(angles) * rng.uniform(0.5, 1), radii * np.sin(angles)], 1)


def _fill(canvas: npt.NDArray[np.uint8], points: npt.NDArray[np.float64]) -> None:
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], (1,))


def _limbed(rng: Rng, canvas: npt.NDArray[np.uint8], half: float) -> None:
    """Draw a body of one or two ovals with limbs of two joints, some of them thin."""
    middle = np.array([SIDE, SIDE], np.float64)
    lean = rng.uniform(0, np.pi)
    for shift in np.linspace(-0.25, 0.25, int(rng.integers(1, 3))):
        centre = middle + half * shift * np.array([np.cos(lean), np.sin(lean)])
        axes = (int(half * rng.uniform(0.3, 0.55)), int(half * rng.uniform(0.2, 0.4)))
        cv2.ellipse(canvas, tuple(int(v) for v in centre), axes, float(np.degrees(lean)), 0, 360, (1,), -1)
    for _ in range(int(rng.integers(2, 7))):
        angle, at = rng.uniform(0, 2 * np.pi), middle.copy()
        thick = max(4, int(half * rng.uniform(0.05, 0.22)))
        at += half * 0.25 * np.array([np.cos(angle), np.sin(angle)])
        for joint in range(2):
            to = at + half * rng.uniform(0.3, 0.5) * np.array([np.cos(angle), np.sin(angle)])
            cv2.line(canvas, tuple(int(v) for v in at), tuple(int(v) for v in to), (1,), max(3, thick - joint * thick // 3))
            at, angle = to, angle + rng.uniform(-1, 1)
        if rng.random() < 0.3:
            cv2.circle(canvas, tuple(int(v) for v in at), int(thick * rng.uniform(0.6, 1.5)), (1,), -1)


def _warped(rng: Rng, layers: list[Floats], shift: float, turn: float, grow: float, bend: float = 3.0) -> list[Floats]:
    """Return layers moved alike: a turn (degrees), a growth, a shift and a bend (pixels), each random up to what is given."""
    angle, scale = rng.uniform(-turn, turn), 1 + rng.uniform(-grow, grow)
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), angle, scale)
    matrix[:, 2] += rng.uniform(-shift, shift, 2) if shift else 0
    inverse = cv2.invertAffineTransform(matrix)
    x, y = np.meshgrid(np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32))
    strength = rng.uniform(0, bend)
    bends = [strength * smooth_noise(rng, SIDE, 6).astype(np.float32) for _ in range(2)]
    across = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]).astype(np.float32) + bends[0]
    down = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]).astype(np.float32) + bends[1]
    return [np.asarray(cv2.remap(layer, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.float32) for layer in layers]


# --- pictures


def _composite_pair(rng: Rng) -> tuple[tuple[Pixels, Floats], tuple[Pixels, Floats]]:
    size = int(rng.uniform(50, 220))
    cover = _shape(rng, size)
    skin = _surface(rng, SIDE).astype(np.float32)
    backdrop = _surface(rng, SIDE).astype(np.float32)
    if rng.random() < 0.2:  # the same surface, another place or another light
        skin = _tinted(rng, np.roll(backdrop, tuple(int(v) for v in rng.integers(0, SIDE, 2)), (0, 1)), 0.4).astype(np.float32)
    if rng.random() < 0.5:  # a thing of several parts
        part = (smooth_noise(rng, SIDE, int(rng.integers(3, 9))) > rng.uniform(-0.3, 0.5))[..., None]
        skin = np.where(part, _surface(rng, SIDE), skin).astype(np.float32)
    if rng.random() < 0.5:
        skin = skin * (1 + rng.uniform(0, 0.35) * smooth_noise(rng, SIDE, 4)[..., None]).astype(np.float32)
    scene = [backdrop]
    for _ in range(int(rng.integers(0, 4))):  # other things, which are background
        other = _warped(rng, [_shape(rng, int(rng.uniform(20, 120)))], 110, 40, 0.2)[0][..., None]
        surface = skin if rng.random() < 0.15 else _surface(rng, SIDE)
        scene[0] = (other * surface + (1 - other) * scene[0]).astype(np.float32)
    before = None
    if rng.random() < 0.25:
        before = _warped(rng, [_shape(rng, int(rng.uniform(15, 90)))], 70, 40, 0.2)[0], _surface(rng, SIDE).astype(np.float32)
    cover, skin = _warped(rng, [cover, skin], 30, 10, 0.05)
    camera = rng.uniform(0, 12)
    second_cover, second_skin = _warped(rng, [cover, skin], float(rng.uniform(2, 16)), 10, 0.08, 8.0)
    second_scene = _warped(rng, scene, float(camera), 2, 0.03, 0.0)[0]
    blur, spread = rng.uniform(0.3, 1.4), int(rng.integers(0, 10)) if rng.random() < 0.35 else 0
    first = _pictured(rng, cover, skin, scene[0], before, blur, 0)
    return first, _pictured(rng, second_cover, second_skin, second_scene, before, blur, spread)


def _pictured(
    rng: Rng, cover: Floats, skin: Floats, scene: Floats, before: tuple[Floats, Floats] | None, blur: float, spread: int
) -> tuple[Pixels, Floats]:
    """Return the picture and the cover of what is seen of the cutout, after blur, motion blur over `spread` pixels, noise and JPEG."""
    alpha = np.asarray(cv2.GaussianBlur(cover, (0, 0), blur), np.float32)
    if spread > 1:
        kernel = np.zeros((spread, spread), np.float32)
        angle = rng.uniform(0, np.pi)
        ends = [tuple(round((spread - 1) / 2 * (1 + sign * v)) for v in (np.cos(angle), np.sin(angle))) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], (1.0,), 1)
        alpha, skin = (np.asarray(cv2.filter2D(layer, -1, kernel / kernel.sum()), np.float32) for layer in (alpha, skin))
    picture = alpha[..., None] * skin + (1 - alpha[..., None]) * scene
    if before is not None:
        veil = np.asarray(cv2.GaussianBlur(before[0], (0, 0), blur), np.float32)
        picture, alpha = veil[..., None] * before[1] + (1 - veil[..., None]) * picture, alpha * (1 - veil)
    return _filmed(rng, picture), alpha


def _filmed(rng: Rng, picture: npt.NDArray[Any]) -> Pixels:
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.3))
    picture = np.clip(picture + rng.normal(0, rng.uniform(0, 6), picture.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.8:
        kept = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))])[1]
        picture = np.asarray(cv2.imdecode(kept, cv2.IMREAD_COLOR))
    return np.asarray(picture, np.uint8)


@cache
def _salient() -> list[tuple[Pixels, Floats]]:
    """Return pictures with the soft mask of what stands out in them, as far as U2-Net-p is sure of it."""
    network = load_saliency(torch.device("cpu"))
    found = [(picture, network(picture)) for picture in (*_clip(), *_photos()[:4], _photos()[8])]
    return [(p, m) for p, m in found if 0.02 < (m > 0.5).mean() < 0.6 and ((m > 0.1) & (m < 0.9)).mean() < 0.15 * (m > 0.5).mean() + 0.02]


def _pseudo_pair(rng: Rng) -> tuple[tuple[Pixels, Floats], tuple[Pixels, Floats]]:
    pool = _salient()
    picture, mask = pool[int(rng.integers(len(pool)))]
    ys, xs = np.nonzero(mask > 0.5)
    box = max(np.ptp(ys), np.ptp(xs)) * rng.uniform(1.2, 2.2)
    side = int(min(box, *picture.shape[:2]))
    height, width = picture.shape[:2]
    y, x = (int(np.clip(v.mean() - side / 2 + rng.normal(0, side / 12), 0, n - side)) for v, n in ((ys, height), (xs, width)))
    layers = [np.asarray(cv2.resize(p[y : y + side, x : x + side], (SIDE, SIDE)), np.float32) for p in (picture, mask)]
    layers[0] = _tinted(rng, layers[0], 0.3).astype(np.float32)
    if rng.random() < 0.5:
        layers = [np.ascontiguousarray(layer[:, ::-1]) for layer in layers]
    moved = _warped(rng, layers, float(rng.uniform(2, 14)), 8, 0.1, 6.0)
    return (_filmed(rng, layers[0]), layers[1]), (_filmed(rng, moved[0]), moved[1])


# --- coarse log odds


def _cells(cover: Floats) -> Floats:
    return np.asarray(cv2.resize(cover, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)


def _probability(odds: Floats) -> Floats:
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


def _damaged(rng: Rng, cover: Floats, much: float) -> Floats:
    """Return coarse log odds (CELLS, CELLS) of a cover: shifted, grown or worn away, cut, with false blobs, holes and smooth noise."""
    mask = cover.copy()
    if rng.random() < 0.5:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (int(rng.integers(3, int(4 + 12 * much))),) * 2)
        grow = (cv2.dilate, cv2.erode)[int(rng.integers(2))]
        where = smooth_noise(rng, SIDE, int(rng.integers(2, 6))) > rng.uniform(-1, 0.4)
        mask = np.where(where, grow(mask, kernel), mask).astype(np.float32)
    if rng.random() < 0.4:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (int(rng.integers(5, int(6 + 14 * much))),) * 2)
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), np.float32)
    for sign in (-1, 1):
        for _ in range(int(rng.poisson(0.7 * much))):
            ys, xs = np.nonzero(cv2.dilate(cover, np.ones((41, 41))) > 0.5)
            if len(ys):
                at = int(rng.integers(len(ys)))
                spot = np.zeros_like(mask)
                axes = (int(rng.uniform(4, 18)), int(rng.uniform(4, 18)))
                cv2.ellipse(spot, (int(xs[at]), int(ys[at])), axes, rng.uniform(0, 180), 0, 360, (1.0,), -1)
                mask = np.clip(mask + sign * rng.uniform(0.5, 1) * spot, 0, 1)
    move = np.array([[1, 0, rng.normal(0, 3.0 * much)], [0, 1, rng.normal(0, 3.0 * much)]], np.float32)
    mask = cv2.warpAffine(mask, move, (SIDE, SIDE))
    if rng.random() < 0.6:
        mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1, 8))
    cells = np.clip(_cells(np.asarray(mask, np.float32)), 0.01, 0.99)
    odds = np.log(cells / (1 - cells)) * rng.uniform(0.6, 2.2)
    odds += rng.uniform(0, 2.5) * much * smooth_noise(rng, CELLS, int(rng.integers(3, 16)))
    return np.clip(odds, -10, 10).astype(np.float32)


@torch.inference_mode()
def _witnesses(first: Pixels, cells: Floats, second: Pixels) -> tuple[Floats, list[torch.Tensor]]:
    """Return the log odds (CELLS, CELLS) that the two witnesses of the tracker give for the second picture, and its maps."""
    size = (SIDE, SIDE)
    device = torch.device("cpu")
    maps = load_backbone(device).features(torch.cat([prepare(picture, size, device) for picture in (first, second)]), num_stages=5)
    grid = [F.normalize(F.interpolate(m, (CELLS, CELLS), mode="bilinear", align_corners=False), dim=1) for m in maps[2:]]
    keys = F.normalize(torch.cat([0.5 * grid[0], grid[2]], 1), dim=1).flatten(2)
    inside = torch.from_numpy(cells).flatten()
    score, where = (keys[1].T @ keys[0]).masked_fill(_far(), -1e4).topk(10, 1)
    read = (torch.softmax(score / 0.07, 1) * inside[where]).sum(1)
    texture_map = F.normalize(F.avg_pool2d(maps[1], 2), dim=1)
    small = [cv2.resize(picture, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for picture in (first, second)]
    colours = [torch.from_numpy(picture).permute(2, 0, 1) / 255 - 0.5 for picture in small]
    x = torch.cat([texture_map, *grid, torch.stack(colours), torch.ones(2, 1, CELLS, CELLS)], 1).flatten(2).transpose(1, 2)
    fitted = torch.sigmoid(x[1] @ _logistic(x[0], inside))
    odds = _log_odds(read, _READ_FLOOR) + _log_odds(fitted, _FIT_FLOOR)
    return odds.reshape(CELLS, CELLS).numpy(), [m[1] for m in maps]


def _log_odds(probability: torch.Tensor, floor: float) -> torch.Tensor:
    return torch.log((probability + floor) / (1 - probability + floor))


@cache
def _far() -> torch.Tensor:
    at = torch.arange(CELLS)
    apart = (at[:, None] - at[None]).abs() > 6
    return (apart[:, None, :, None] | apart[None, :, None, :]).reshape(CELLS**2, CELLS**2)


def _logistic(x: torch.Tensor, y: torch.Tensor, ridge: float = 3e-3, steps: int = 5) -> torch.Tensor:
    """Return the weights of a logistic regression whose two classes weigh alike, by Newton's method."""
    weight = 0.5 * y / y.sum().clamp_min(1e-3) + 0.5 * (1 - y) / (1 - y).sum().clamp_min(1e-3)
    w = x.new_zeros(x.shape[1])
    for _ in range(steps):
        p = torch.sigmoid(x @ w)
        slope = x.T @ (weight * (p - y)) + ridge * w
        curve = (x * (weight * p * (1 - p))[:, None]).T @ x + ridge * torch.eye(x.shape[1])
        w = w - torch.linalg.solve(curve, slope)
    return w
