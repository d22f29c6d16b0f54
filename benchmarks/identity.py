"""Do things stay themselves? Drawn clips with exact truth: crossings, hiding and coming back, touching, small, fast, growing, thin things.

    python benchmarks/identity.py [--kinds colour,twins,...] [--seeds 1] [--size 854x480] [--propagator lite|flow]

The true masks of the first frame are given. What a crossing, a return and a switch are, and when a thing is lost or recognised, is said
exactly in `tests/helpers/identity.py`; how the clips of each kind are drawn in `tests/helpers/encounters.py`. Of each kind `--seeds` clips
are drawn; of `twins` ten times as many, since one in ten crossings may be switched, and of `away-N` twice as many, past the border and
behind a bar. Prints one JSON document, with the figures of every kind and, in "all", of all clips together; a line for each clip goes to
the standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers.encounters import KINDS, SIZE, drawn
from helpers.identity import Followed, encounters, follow, is_switched, recognised_after
from videoseg_r1.lite.tracking.propagator import lite_propagator
from videoseg_r1.stages.propagation.flow import flow_propagator

CLIPS_PER_SEED = {"twins": 10, "away-5": 2, "away-30": 2, "away-100": 2}
PROPAGATORS = {"lite": lambda: lite_propagator(torch.device("cpu")), "flow": flow_propagator}


def figures(clips: list[Followed]) -> dict[str, Any]:
    """Return what the clips tell together; every "[a, b]" is a out of b."""
    tried = [(one, clip) for clip in clips for one in encounters(clip)]
    returns = [(one, clip) for one, clip in tried if one.kind == "return"]
    after = [recognised_after(clip, one) for one, clip in returns]
    j = [value for clip in clips for value in clip.j]

    def switches(kind: str, alike: bool) -> list[int]:
        asked = [is_switched(clip, one) for one, clip in tried if (one.kind, one.alike) == (kind, alike)]
        return [sum(asked), len(asked)]

    return {
        "clips": len(clips),
        "things": len(j),
        "masks": int(sum(clip.seen[1:].sum() for clip in clips)),
        "mean_j": round(float(np.mean(j)), 4),
        "lowest_j": round(min(j), 4),
        "switched_of_crossings_unlike": switches("crossing", alike=False),
        "switched_of_crossings_alike": switches("crossing", alike=True),
        "switched_of_returns": [sum(pair) for pair in zip(switches("return", False), switches("return", True), strict=True)],
        "recognised_of_returns": [sum(one is not None for one in after), len(after)],
        "frames_until_recognised": after,
        "lost_for_good_of_things": [sum(len(clip.lost) for clip in clips), len(j)],
        "false_masks_of_absences": [sum(pair) for pair in zip(*(clip.false_masks for clip in clips), strict=True)],
        "seconds_per_frame": round(sum(clip.seconds for clip in clips) / sum(len(clip.seen) for clip in clips), 3),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--size", default="{}x{}".format(*SIZE))
    options.add_argument("--propagator", default="lite", choices=PROPAGATORS)
    given = options.parse_args()
    width, height = map(int, given.size.split("x"))
    propagator, kinds = PROPAGATORS[given.propagator](), given.kinds.split(",")
    followed: dict[str, list[Followed]] = {kind: [] for kind in kinds}
    for kind in kinds:
        for seed in range(given.seeds * CLIPS_PER_SEED.get(kind, 1)):
            clip = follow(drawn(kind, seed, (width, height)), propagator)
            followed[kind].append(clip)
            print(clip.clip.name, json.dumps(figures([clip])), file=sys.stderr, flush=True)
    report = {
        "propagator": given.propagator,
        "size": given.size,
        "all": figures([clip for clips in followed.values() for clip in clips]),
        "kinds": {kind: figures(clips) for kind, clips in followed.items()},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
