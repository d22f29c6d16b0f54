"""Draw columns of training curves as a small PNG, with Pillow.

    python tools/plot_curves.py curves.png run/sft/curve.csv:loss run/grpo/curve.csv:reward

One panel per curve, the raw values thin and a running mean thick.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 260, 52, 12, 30, 30
_INK, _PALE, _GRID = (31, 78, 121), (170, 196, 220), (225, 225, 225)


def read_column(path: Path, column: str) -> list[tuple[float, float]]:
    """Return (step, value) of the rows that have a value."""
    with path.open(newline="", encoding="utf-8") as file:
        return [(float(row["step"]), float(row[column])) for row in csv.DictReader(file) if row.get(column)]


def running_mean(points: list[tuple[float, float]], decay: float = 0.9) -> list[tuple[float, float]]:
    mean, weight, smooth = 0.0, 0.0, []
    for step, value in points:
        mean, weight = decay * mean + (1 - decay) * value, decay * weight + (1 - decay)
        smooth.append((step, mean / weight))
    return smooth


def draw_panel(points: list[tuple[float, float]], title: str) -> Image.Image:
    panel = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen, font = ImageDraw.Draw(panel), ImageFont.load_default(13)
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    span, length = (high - low) or 1.0, (max(steps) - min(steps)) or 1.0

    def place(step: float, value: float) -> tuple[float, float]:
        x = _LEFT + (step - min(steps)) / length * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - (value - low) / span * (_HEIGHT - _TOP - _BOTTOM)

    for tick in range(5):
        value = low + span * tick / 4
        y = place(steps[0], value)[1]
        pen.line([(_LEFT, y), (_WIDTH - _RIGHT, y)], _GRID)
        pen.text((4, y - 8), f"{value:.3g}", "black", font)
    pen.line([place(*point) for point in points], _PALE, 1)
    pen.line([place(*point) for point in running_mean(points)], _INK, 3)
    pen.text((_LEFT, 7), title, "black", font)
    for step in (min(steps), max(steps)):
        pen.text((place(step, low)[0] - 12, _HEIGHT - _BOTTOM + 8), f"{step:g}", "black", font)
    return panel


def main() -> None:
    target, *wanted = sys.argv[1:]
    panels = []
    for one in wanted:
        path, _, column = one.rpartition(":")
        panels.append(draw_panel(read_column(Path(path), column), f"{Path(path).parent.name}: {column} by step"))
    sheet = Image.new("RGB", (_WIDTH * len(panels), _HEIGHT), "white")
    for index, panel in enumerate(panels):
        sheet.paste(panel, (_WIDTH * index, 0))
    sheet.save(target)


if __name__ == "__main__":
    main()
