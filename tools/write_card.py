"""Write the card of the reader that ships, from its run and from what the tables measured of it.

python tools/write_card.py docs/runs/lite docs/ablations/values-104-16 src/videoseg_r1/lite/weights/reader.md

The run is a folder as `videoseg train` leaves it, without its weights, and with remarks.md for what files of a run cannot say. What the
tables do not ask, the control with scenes shuffled, is asked here (a minute on two cores) and kept beside their values.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videoseg_r1.ablations.document import kept
from videoseg_r1.ablations.figures import figure, table_head, table_row
from videoseg_r1.ablations.readers import ABLATION_VARIANTS
from videoseg_r1.ablations.text import ReaderScores
from videoseg_r1.documents import build, read_json
from videoseg_r1.training.exam import Marks, examine, summary
from videoseg_r1.training.recipe import recipe_of
from videoseg_r1.training.release import card

STAGES = {"refine": "SFT", "grpo": "RL with thinking"}
"""The stages that are examined, and as what the tables know what was there after them."""
_NUM_SHUFFLED = 26


def written(run: Path, values: Path) -> str:
    """Return the card. Raises: InvalidDocument: the recipe or the values cannot be read. OutputError: the control cannot be kept."""
    scores = {stage: kept(values, name, ReaderScores, _not_measured) for stage, name in STAGES.items()}
    exam = {stage: {split: summary(marks) for split, marks in found.world.items()} for stage, found in scores.items()}
    exam["grpo"]["shuffled"] = summary(kept(values, "control", tuple[Marks, ...], _shuffled))
    recipe = recipe_of(build(dict[str, Any], read_json(run / "recipe.json"), str(run)), str(run))
    remarks = (run / "remarks.md").read_text(encoding="utf-8")
    return "\n".join([card(recipe, run, exam), "## Real clips", "", *_clips(scores), "", remarks])


def _shuffled() -> tuple[Marks, ...]:
    reader = ABLATION_VARIANTS[STAGES["grpo"]]
    return tuple(examine(reader.load(), "val", _NUM_SHUFFLED, reader.recipe().reward, shuffled=True))


def _not_measured() -> ReaderScores:
    raise SystemExit("measure it first: videoseg reproduce tables -o docs/ablations --root ../shared/data/davis16_dev")


def _clips(scores: dict[str, ReaderScores]) -> Iterator[str]:
    yield "Answers of the reader alone to what perception says of the ten development clips of DAVIS-2016: box IoU in the target frame, and"
    yield "for absent targets the share that was answered by nothing; 95 % intervals."
    yield ""
    kinds = list(dict(scores["grpo"].clips))
    nums = [sum(kind == own for own, _ in scores["grpo"].clips) for kind in kinds]
    yield from table_head(["after", *(f"{kind} (n {num})" for kind, num in zip(kinds, nums, strict=True))])
    for stage, found in scores.items():
        yield table_row(stage, [figure([worth for own, worth in found.clips if own == kind]) for kind in kinds])


def main() -> None:
    run, values, target = map(Path, sys.argv[1:])
    target.write_text(written(run, values), encoding="utf-8")


if __name__ == "__main__":
    main()
