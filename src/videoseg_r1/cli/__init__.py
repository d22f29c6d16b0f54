"""The command line: one verb per file, one JSON document or a few lines of text per run, and exit codes that mean something.

    0 done      1 some items failed, or a bug      2 wrong usage      3 bad input      4 model      5 memory or disk      130 interrupted

Not here: any work; every verb calls the library. Heavy modules are imported by the verb that needs them, so that help is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on these arguments, by default those of the process. Returns the exit code."""
    # threads that wait must not spin: measured 33 instead of 138 CPU-seconds for one clip on a busy machine; torch reads it once
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from videoseg_r1.cli.app import run

        return run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # while modules are imported; verbs handle their own
        return INTERRUPTED
