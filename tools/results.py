"""Print the table of docs/results.md from the JSON documents that `videoseg eval` printed.

python tools/results.py NAME=FILE.json ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

KINDS = ("referring", "attribute", "motion", "reasoning")


def row(name: str, report: dict[str, object]) -> str:
    kinds = report["kinds"]
    per_kind = " | ".join(f"{kinds[kind]['J&F']:.3f}" if kind in kinds else "" for kind in KINDS)
    return f"| {name} | {report['J']:.3f} | {report['F']:.3f} | **{report['J&F']:.3f}** | {per_kind} |"


def main() -> None:
    print("| run | J | F | J&F | " + " | ".join(KINDS) + " |")
    print("|---" * (4 + len(KINDS)) + "|")
    for argument in sys.argv[1:]:
        name, path = argument.split("=", 1)
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        print(row(name, report))
        if "control" in report:
            print(row(f"{name}, shuffled text", report["control"]))


if __name__ == "__main__":
    main()
