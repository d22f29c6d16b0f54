"""videoseg eval: predictions against a benchmark, with the shuffled-text control in the same report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videoseg_r1.cli.options import (
    AnchorsOption,
    DeviceOption,
    PresetOption,
    PropagatorOption,
    SamplerOption,
    SeedFramesOption,
    SeedOption,
    changed_settings,
)
from videoseg_r1.cli.outputs import check_new
from videoseg_r1.cli.terminal import Outcome, Terminal
from videoseg_r1.errors import UsageError

if TYPE_CHECKING:
    from videoseg_r1.evaluation import Row
    from videoseg_r1.types import Progress


def evaluate(
    terminal: Terminal,
    *,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The benchmark: davis16.")],
    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="The folder of the benchmark.")],
    preset: PresetOption = "lite",
    propagator: PropagatorOption = None,
    device: DeviceOption = "auto",
    sampler: SamplerOption = "full",
    anchors: AnchorsOption = None,
    seed_frames: SeedFramesOption = None,
    seed: SeedOption = 0,
    given_mask: Annotated[bool, typer.Option("--given-mask", help="Carry the first true mask of each clip; no text is read.")] = False,
    mosaic: Annotated[int, typer.Option("--mosaic", metavar="N", min=0, help="Join N clips side by side.")] = 0,
    shuffle_text: Annotated[bool, typer.Option("--shuffle-text", help="Score the control alone: expressions of other clips.")] = False,
    control: Annotated[
        bool | None, typer.Option("--control/--no-control", help="Score the control too.  [default: yes, where text is read]")
    ] = None,
    from_preds: Annotated[Path | None, typer.Option("--from-preds", metavar="DIR", help="Score DIR/VIDEO[/EXPRESSION]/FRAME.png.")] = None,
    save_preds: Annotated[Path | None, typer.Option("--save-preds", metavar="DIR", help="Keep the masks as such PNGs.")] = None,
    videos: Annotated[str, typer.Option("--videos", metavar="A,B", help="Score these clips only.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Score the first N samples only; 0 scores all.")] = 0,
) -> Outcome:
    """Score a preset, or anybody's PNG folders, on a benchmark: J, F and J&F.

    Example: videoseg eval davis16 --root davis16_dev --preset lite --json
    """
    reads_text = not given_mask and from_preds is None
    _check_options(reads_text, shuffle_text, control, from_preds, save_preds)
    with_control = reads_text and not shuffle_text and control is not False
    if save_preds is not None:
        check_new(save_preds)

    from videoseg_r1.cli.benchmark import Choice, predictor_of, saving, shuffled, table
    from videoseg_r1.evaluation import evaluate as score

    names = tuple(name.strip() for name in videos.split(",") if name.strip())
    choice = Choice(dataset, root, given_mask, mosaic, names, limit, whole=with_control or shuffle_text or from_preds is not None)
    known, samples = choice.samples()
    other = shuffled(known, samples) if with_control or shuffle_text else []
    changes = changed_settings(sampler, anchors, seed_frames)
    predict, settings = predictor_of(
        choice, known, from_preds, preset=preset, propagator=propagator, device=device, changes=changes, seed=seed
    )
    settings = {**settings, "dataset": dataset, "root": str(root), "given_mask": given_mask, "mosaic": mosaic}
    settings |= {"shuffle_text": shuffle_text, "videos": list(names), "limit": limit}
    with terminal.progress() as progress:
        with saving(predict, save_preds) as predict_and_save:
            scored = other if shuffle_text else samples
            report = score(scored, predict_and_save, settings=settings, on_row=_counter(progress, "evaluate", scored))
        reports = [report]
        if with_control:
            reports.append(score(other, predict, settings=settings, on_row=_counter(progress, "control", other)))
    document = report.to_dict(*reports[1:])
    return Outcome(document, table(document), exit_code=int(any(one.num_failed for one in reports)))


def _check_options(reads_text: bool, shuffle_text: bool, control: bool | None, from_preds: Path | None, save_preds: Path | None) -> None:
    if not reads_text and (shuffle_text or control):
        where = "--shuffle-text" if shuffle_text else "--control"
        raise UsageError("there is no text to shuffle", where=where, fix="leave out --given-mask and --from-preds")
    if from_preds is not None and save_preds is not None:
        raise UsageError("these predictions are saved already", where="--save-preds")


def _counter(progress: Progress, stage: str, samples: Sequence[object]) -> Callable[[Row], None]:
    done = 0

    def count(_row: Row) -> None:
        nonlocal done
        done += 1
        progress(stage, done, len(samples))

    return count
