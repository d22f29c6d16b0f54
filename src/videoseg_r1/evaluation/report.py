"""What an evaluation found: one row per sample, averages over them, and their form as JSON and as a table for people.

Not here: how a row comes about (`scoring`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from videoseg_r1.datasets.sample import Sample


@dataclass(frozen=True)
class Row:
    """One sample of a report.

    Attributes:
        j, f: means over the scored frames of the clip, None for an expression without a target.
        seconds: time spent on the prediction, opening and decoding included, scoring not.
        target_frame: the frame that the predictor answered for, None where it names none.
        missing: scored frames without a prediction.
        abstained: whether no mask had a single pixel, and nothing failed.
        error: what failed, as `VideosegError.to_dict`; None when nothing did.
    """

    sample: Sample
    j: float | None
    f: float | None
    seconds: float
    target_frame: int | None
    missing: int
    abstained: bool
    error: Mapping[str, object] | None = None

    def to_dict(self) -> dict[str, object]:
        sample = self.sample
        plain: dict[str, object] = {
            "video": sample.video_id,
            "expression": sample.expression_id,
            "kind": sample.kind,
            "query": sample.query,
            "J": self.j,
            "F": self.f,
            "seconds": self.seconds,
            "num_frames": sample.num_frames,
            "target_frame": self.target_frame,
            "abstained": self.abstained,
            "missing": self.missing,
        }
        extra = {"query_from": sample.query_from or None, "error": self.error}
        return plain | {key: value for key, value in extra.items() if value is not None}


@dataclass(frozen=True)
class Report:
    """All rows of an evaluation, and its settings."""

    rows: tuple[Row, ...]
    settings: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def num_failed(self) -> int:
        """Samples on which the predictor raised an error; they count as empty masks."""
        return sum(row.error is not None for row in self.rows)

    @property
    def seconds_per_frame(self) -> float | None:
        frames = sum(row.sample.num_frames for row in self.rows)
        return sum(row.seconds for row in self.rows) / frames if frames else None

    def scores(self, kind: str | None = None) -> dict[str, float | None]:
        """Return J, F and J&F over the expressions with a target, of one kind or of all; None where there are none."""
        pairs = [(r.j, r.f) for r in self.rows if r.j is not None and r.f is not None and kind in (None, r.sample.kind)]
        if not pairs:
            return {"J": None, "F": None, "J&F": None}
        j, f = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
        return {"J": j, "F": f, "J&F": (j + f) / 2}

    def to_dict(self, control: Report | None = None) -> dict[str, object]:
        """Return the report as plain data for JSON.

        Args:
            control: the same predictor on `shuffle_text(samples)`. Its scores come under `control`, and the scores of the true
                text less these under `gap`.
        """
        present = [row for row in self.rows if row.sample.target_present]
        absent = [row for row in self.rows if not row.sample.target_present]
        plain: dict[str, object] = {
            **self.scores(),
            "num_expressions": len(present),
            "kinds": self._kinds(),
            "absent": {"num": len(absent), "abstained": sum(row.abstained for row in absent)},
            "seconds_per_frame": self.seconds_per_frame,
            "missing": sum(row.missing for row in self.rows),
            "failed": self.num_failed,
            "settings": dict(self.settings),
            "samples": [row.to_dict() for row in self.rows],
        }
        if control is not None:
            plain["control"] = control.scores() | {"kinds": control._kinds()}
            plain["gap"] = _difference(self.scores(), control.scores())
        return plain

    def _kinds(self) -> dict[str, dict[str, float | None]]:
        kinds = dict.fromkeys(row.sample.kind for row in self.rows if row.sample.target_present)
        return {kind: self.scores(kind) for kind in kinds}


def table(document: Mapping[str, Any]) -> str:
    """Return a report for people. Args: `document` as `Report.to_dict` returns it."""
    rows = {"all": document, **document["kinds"]}
    if "control" in document:
        rows |= {"shuffled text": document["control"], "gap": document["gap"]}
    lines = [f"{'':<16}{'J':>8}{'F':>8}{'J&F':>8}"]
    for name, scores in rows.items():
        values = (scores[key] for key in ("J", "F", "J&F"))
        lines.append(f"{name:<16}" + "".join(f"{'-':>8}" if value is None else f"{value:>8.3f}" for value in values))
    absent, speed = document["absent"], document["seconds_per_frame"]
    lines.append(f"{document['num_expressions']} expressions with a target")
    lines.append(f"absent targets: nothing returned for {absent['abstained']} of {absent['num']}")
    lines += [f"{speed:.3f} seconds per frame"] if speed is not None else []
    lines += [f"{document['missing']} frames without a prediction"] if document["missing"] else []
    lines += [f"{document['failed']} expressions failed; --json tells which and why"] if document["failed"] else []
    return "\n".join(lines)


def _difference(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> dict[str, float | None]:
    return {key: None if a is None or (b := other[key]) is None else a - b for key, a in one.items()}
