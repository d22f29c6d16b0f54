"""How often damage goes unnoticed: clips of every codec and container, spoiled at random, opened as a user would.

    python benchmarks/damage.py [--clips 200] [--seed 0]

`silent` clips show other pictures than the whole clip and say nothing; `unmarked` are such pictures in clips that were read with
`keep-all`. Prints one line per codec, and one per silent clip.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.damaged import CODECS, damaged_clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200, help="in all, the same number of every codec")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--codecs", default=",".join(CODECS))
    args = parser.parse_args()
    codecs = args.codecs.split(",")
    for codec in codecs:
        counts: Counter[str] = Counter()
        silent: list[str] = []
        unmarked, slowest = 0, 0.0
        with tempfile.TemporaryDirectory() as folder:
            for deed, reading in damaged_clips(Path(folder), codec, args.clips // len(codecs), args.seed):
                counts[reading.outcome] += 1
                unmarked += reading.num_unmarked
                slowest = max(slowest, reading.seconds)
                if reading.outcome == "silent":
                    silent.append(deed)
        print(
            f"{codec:6} {sum(counts.values())} clips: {counts['refused']} refused, {counts['same']} the same to the bit, "
            f"{counts['silent']} silent; {unmarked} pictures unmarked; slowest {slowest:.1f} s"
        )
        for deed in silent:
            print(f"       silent: {deed}")


if __name__ == "__main__":
    main()
