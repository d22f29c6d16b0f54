"""What an evaluation found: one row per sample, averages over them, and their form as JSON and as a table for people.

Not here: how a row comes about (`scoring`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from videoseg_r1.datasets.sample import Sample
from videoseg_r1.metrics import Score, decay

OBJECT = "object"
"""Kind of the samples that stand for one annotated object, not for an expression; they are averaged apart."""
SMALL = 0.01
"""Mean share of the picture below which a target counts as small."""


@dataclass(frozen=True)
class Row:
    """One sample of a report.

    Attributes:
        scores: J and F by scored frame, in order; empty for an expression without a target.
        area: mean share of the picture that the target covers in these frames, None without a target.
        seconds: time spent on the prediction, opening and decoding included, scoring not. Targets that one run follows together have
            the time of that run.
        target_frame: the frame that the predictor answered for, None where it names none.
        missing: scored frames without a prediction.
        abstained: whether no mask had a single pixel, and nothing failed.
        error: what failed, as `VideosegError.to_dict`; None when nothing did.
    """

    sample: Sample
    scores: Mapping[int, Score]
    area: float | None
    seconds: float
    target_frame: int | None
    missing: int
    abstained: bool
    error: Mapping[str, object] | None = None

    @property
    def j(self) -> float | None:
        """Mean J over the scored frames, None without a target."""
        return _mean([score.j for score in self.scores.values()])

    @property
    def f(self) -> float | None:
        """Mean F over the scored frames, None without a target."""
        return _mean([score.f for score in self.scores.values()])

    @property
    def jf(self) -> float | None:
        """J&F, None without a target."""
        return None if self.j is None or self.f is None else (self.j + self.f) / 2

    @property
    def decay(self) -> tuple[float, float] | None:
        """How much J and F fall from the first to the last quarter of the frames, None without a target."""
        scores = self.scores.values()
        return (decay([score.j for score in scores]), decay([score.f for score in scores])) if scores else None

    def to_dict(self) -> dict[str, object]:
        sample = self.sample
        decays = self.decay or (None, None)
        named = {"object": sample.expression_id} if sample.kind == OBJECT else {"expression": sample.expression_id, "kind": sample.kind}
        plain: dict[str, object] = {
            "video": sample.video_id,
            **named,
            **({} if sample.kind == OBJECT else {"query": sample.query}),
            "J": self.j,
            "F": self.f,
            "J_decay": decays[0],
            "F_decay": decays[1],
            "area": self.area,
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
        """Expressions on which the predictor raised an error; they count as empty masks."""
        return sum(row.error is not None for row in self.expressions)

    @property
    def expressions(self) -> tuple[Row, ...]:
        """The rows of expressions."""
        return tuple(row for row in self.rows if row.sample.kind != OBJECT)

    @property
    def objects(self) -> tuple[Row, ...]:
        """The rows of single objects; there are some where the first true masks were given."""
        return tuple(row for row in self.rows if row.sample.kind == OBJECT)

    @property
    def seconds_per_frame(self) -> float | None:
        frames = sum(row.sample.num_frames for row in self.expressions)
        return sum(row.seconds for row in self.expressions) / frames if frames else None

    def scores(self, kind: str | None = None) -> dict[str, float | None]:
        """Return J, F and J&F over the expressions with a target, of one kind or of all; None where there are none."""
        return _scores_of([row for row in self.expressions if kind in (None, row.sample.kind)])

    def to_dict(self, control: Report | None = None) -> dict[str, object]:
        """Return the report as plain data for JSON.

        Args:
            control: the same predictor on `shuffle_text(samples)`. Its scores come under `control`, and the scores of the true
                text less these under `gap`.
        """
        present = [row for row in self.expressions if row.sample.target_present]
        absent = [row for row in self.expressions if not row.sample.target_present]
        decays = [row.decay for row in present if row.decay]
        small = [row for row in present if row.area is not None and row.area < SMALL]
        plain: dict[str, object] = {
            **self.scores(),
            "num_expressions": len(present),
            "decay": {"J": _mean([j for j, _ in decays]), "F": _mean([f for _, f in decays])},
            "least": _least(present),
            "kinds": self._kinds(),
            "clips": {name: _scores_of([r for r in present if r.sample.video_id == name]) for name in _names(present)},
            "small": _scores_of(small) | {"num": len(small)},
            "absent": {"num": len(absent), "abstained": sum(row.abstained for row in absent)},
            "seconds_per_frame": self.seconds_per_frame,
            "missing": sum(row.missing for row in self.expressions),
            "failed": self.num_failed,
            "settings": dict(self.settings),
            "samples": [row.to_dict() for row in self.expressions],
        }
        if self.objects:
            rows = self.objects
            plain["objects"] = _scores_of(rows) | {"num": len(rows), "least": _least(rows), "samples": [row.to_dict() for row in rows]}
        if control is not None:
            plain["control"] = control.scores() | {"kinds": control._kinds()}
            plain["gap"] = _difference(self.scores(), control.scores())
        return plain

    def _kinds(self) -> dict[str, dict[str, float | None]]:
        kinds = dict.fromkeys(row.sample.kind for row in self.expressions if row.sample.target_present)
        return {kind: self.scores(kind) for kind in kinds}


def _scores_of(rows: Sequence[Row]) -> dict[str, float | None]:
    """Return J, F and J&F over the rows that have a target, each of the same weight; None where there are none."""
    j, f = (_mean([value for row in rows if (value := getattr(row, name)) is not None]) for name in ("j", "f"))
    return {"J": j, "F": f, "J&F": None if j is None or f is None else (j + f) / 2}


def table(document: Mapping[str, Any]) -> str:
    """Return a report for people. Args: `document` as `Report.to_dict` returns it."""
    rows = {"all": document, **document["kinds"]}
    if "objects" in document:
        rows["single objects"] = document["objects"]
    if "control" in document:
        rows |= {"shuffled text": document["control"], "gap": document["gap"]}
    lines = [f"{'':<16}{'J':>8}{'F':>8}{'J&F':>8}"]
    for name, scores in rows.items():
        values = (scores[key] for key in ("J", "F", "J&F"))
        lines.append(f"{name:<16}" + "".join(f"{'-':>8}" if value is None else f"{value:>8.3f}" for value in values))
    absent, speed = document["absent"], document["seconds_per_frame"]
    lines.append(f"{document['num_expressions']} expressions with a target")
    if least := document["least"]:
        lines.append(f"least J&F {least['J&F']:.3f}: {least['video']}, expression {least['expression']}")
    lines.append(f"absent targets: nothing returned for {absent['abstained']} of {absent['num']}")
    lines += [f"{speed:.3f} seconds per frame"] if speed is not None else []
    lines += [f"{document['missing']} frames without a prediction"] if document["missing"] else []
    lines += [f"{document['failed']} expressions failed; --json tells which and why"] if document["failed"] else []
    return "\n".join(lines)


def _difference(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> dict[str, float | None]:
    return {key: None if a is None or (b := other[key]) is None else a - b for key, a in one.items()}


def _least(rows: Sequence[Row]) -> dict[str, object] | None:
    """Return which row has the lowest J&F, None where no row has a target."""
    scored = [(row.jf, row) for row in rows if row.jf is not None]
    if not scored:
        return None
    value, row = min(scored, key=lambda pair: pair[0])
    named = "object" if row.sample.kind == OBJECT else "expression"
    return {"video": row.sample.video_id, named: row.sample.expression_id, "J&F": value}


def _names(rows: Sequence[Row]) -> list[str]:
    """Return the names of the clips, in order."""
    return list(dict.fromkeys(row.sample.video_id for row in rows))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
