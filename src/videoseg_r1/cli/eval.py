"""videoseg eval: predictions against a benchmark, with the shuffled-text control in the same report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from videoseg_r1.datasets.registry import names_for
from videoseg_r1.errors import UsageError

_PREDS_HELP = "Score DIR/VIDEO[/EXPRESSION]/FRAME.png; with --given-mask label maps, DIR/VIDEO/FRAME.png."
_KNOWN = ", ".join(names_for("evaluation"))


def eval_verb(
    terminal: Terminal,
    *,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=f"The benchmark: {_KNOWN}.")],
    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="The folder of the benchmark.")],
    preset: PresetOption = "lite",
    propagator: PropagatorOption = None,
    device: DeviceOption = "auto",
    sampler: SamplerOption = "full",
    anchors: AnchorsOption = None,
    seed_frames: SeedFramesOption = None,
    seed: SeedOption = 0,
    given_mask: Annotated[bool, typer.Option("--given-mask", help="Carry the first true masks of all objects; no text is read.")] = False,
    mosaic: Annotated[int, typer.Option("--mosaic", metavar="N", min=0, help="Join N clips side by side.")] = 0,
    shuffle_text: Annotated[bool, typer.Option("--shuffle-text", help="Score the control alone: expressions of other clips.")] = False,
    control: Annotated[
        bool | None, typer.Option("--control/--no-control", help="Score the control too.  [default: yes, where text is read]")
    ] = None,
    from_preds: Annotated[Path | None, typer.Option("--from-preds", metavar="DIR", help=_PREDS_HELP)] = None,
    save_preds: Annotated[Path | None, typer.Option("--save-preds", metavar="DIR", help="Keep the masks as such PNGs.")] = None,
    videos: Annotated[str, typer.Option("--videos", metavar="A,B", help="Score these clips only.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Score the first N samples only; 0 scores all.")] = 0,
) -> Outcome:
    """Score a preset, or anybody's PNG folders, on a benchmark: J, F and J&F.

    Example: videoseg eval davis16 --root davis16_dev --preset lite --json
    """
    reads_text = not given_mask and from_preds is None
    _check_options(reads_text, shuffle_text, control, from_preds, save_preds)
    if save_preds is not None:
        check_new(save_preds)

    from videoseg_r1.evaluation.report import table
    from videoseg_r1.evaluation.run import Selection, run_evaluation

    loading = {"preset": preset, "propagator": propagator, "device": device, **changed_settings(sampler, anchors, seed_frames)._asdict()}
    selection = Selection(
        dataset=dataset,
        root=root,
        given_mask=given_mask,
        mosaic=mosaic,
        videos=tuple(name.strip() for name in videos.split(",") if name.strip()),
        limit=limit,
        shuffle_text=shuffle_text,
        control=reads_text and not shuffle_text and control is not False,
    )
    with terminal.progress() as progress:
        report, control_report = run_evaluation(selection, progress, preds=from_preds, keep=save_preds, seed=seed, **loading)
    document = report.to_dict(control_report)
    failed = report.num_failed + (control_report.num_failed if control_report else 0)
    return Outcome(document, table(document), exit_code=int(failed > 0))


def _check_options(reads_text: bool, shuffle_text: bool, control: bool | None, from_preds: Path | None, save_preds: Path | None) -> None:
    if not reads_text and (shuffle_text or control):
        where = "--shuffle-text" if shuffle_text else "--control"
        raise UsageError("there is no text to shuffle", where=where, fix="leave out --given-mask and --from-preds")
    if from_preds is not None and save_preds is not None:
        raise UsageError("these predictions are saved already", where="--save-preds")
