"""How a finished run on the world is released: its weights in small files, and a card that is written from the files of the run.

The card says what was trained on what, how, how long it took, what the result scores, and what it cannot do. Not here: the run (`run`),
asking the questions (`exam`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from videoseg_r1.errors import InvalidConfig
from videoseg_r1.files import write_whole
from videoseg_r1.lite.reader.weights_delta import pack_adapter, pack_delta
from videoseg_r1.models.pretrained import load_network
from videoseg_r1.training.curves import SECONDS, STEP, read_curve
from videoseg_r1.training.network import load_learner, source_folder
from videoseg_r1.training.recipe import Recipe, StageName
from videoseg_r1.training.run import CURVE, finals

_OF_EXAMPLES = ("batch_size", "learning_rate")
_COLUMNS = {"sft": "loss", "refine": "loss", "grpo": "reward"}
_SETTINGS = {"sft": _OF_EXAMPLES, "refine": _OF_EXAMPLES, "grpo": (*_OF_EXAMPLES, "num_generations", "temperature", "beta")}
_SPLITS = {
    "val": "in distribution (other scenes)",
    "ood": "out of distribution (new things, facts, wordings, more noise)",
    "shuffled": "control: scenes shuffled",
}
_PRECISIONS = {"bf16": "bf16 where the processor has it, else float32", "fp32": "float32"}
_ADAPTERS = {"sft": "reader-examples.safetensors", "refine": "reader-examples.safetensors", "grpo": "reader-rewards.safetensors"}
_METHODS = {"full": "all weights but the words' vectors", "lora": "low-rank changes"}
_LIMITS = """- It reads a transcript and sees no picture: what perception missed or misnamed it cannot know.
- It was taught drawn scenes in one wording; English only; it does no arithmetic worth the name.
- It answers about people by what they wear, hold or ride, because the classifier below it has no class for them.
- It may name a thing where there is none, above all where something similar is there."""


def release(recipe: Recipe, out: Path, exam: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Write OUT/reader.safetensors (what all weights learned), OUT/reader-examples.safetensors (what LoRA learned after it by examples),
    OUT/reader-rewards.safetensors (what that was when rewards had gone on with it), and OUT/reader.md.

    Returns: the paths; what no stage learned is not among them.
    Raises: InvalidConfig: the network sees pictures. WeightsMissing, ModelError: its files cannot be read. OutputError: the folder
        cannot be written.
    """
    learner = load_learner(recipe)
    if learner.family is not None:
        raise InvalidConfig("only a model that reads text is released", where=learner.family.name)
    stages: dict[str, Path] = dict(zip(recipe.run.stages, finals(recipe, out), strict=True))
    written: list[Path] = []
    about = {"base": recipe.model.source, "seed": str(recipe.run.seed)}
    whole, thin = ([stage for stage in recipe.run.stages if recipe.stage(stage).method == method] for method in ("full", "lora"))
    if whole:
        written.append(out / "reader.safetensors")
        before, after = (load_network(type(learner.network), folder) for folder in (source_folder(recipe.model), stages[whole[-1]]))
        pack_delta(before, after, written[-1], about | {"stages": " ".join(whole)})
    for number, stage in enumerate(thin, 1):
        adapter = stages[stage] / "adapter_model.safetensors"
        path = out / _ADAPTERS[stage]
        pack_adapter(adapter, recipe.model.alpha / recipe.model.rank, path, about | {"stages": " ".join(thin[:number])})
        written += [] if path in written else [path]
    write_whole(out / "reader.md", card(recipe, out, exam), "the description of the model cannot be written")
    return [*written, out / "reader.md"]


def card(recipe: Recipe, out: Path, exam: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the card of a finished run as Markdown.

    Args:
        recipe, out: the run, and its folder.
        exam: what `examine_run` returned.
    """
    model, reward = recipe.model, recipe.reward
    rows = [
        "# The reader of lite",
        "",
        f"What `{model.source}` learned by `videoseg train`. A stage of all weights is kept as differences of half a byte each.",
        "",
        f"- Data: {recipe.data.source}, drawn at random by this package; no download, no real video.",
        f"- Seed: {recipe.run.seed}. Precision: {_PRECISIONS[recipe.run.precision]}.",
        f"- Thinking: {'yes' if reward.thinking else 'no'}. Soft length penalty: {reward.beta:g} per token above the budget.",
        *(_stage(recipe, out, stage) for stage in recipe.run.stages),
        "",
        "## Scores",
        "",
        "Greedy answers, all kinds of question alike. Success is one box above half of IoU for every target and no other, or none where",
        "there is no target; over half is the share of answers that have an IoU above 0.5, their boxes taken together.",
        "",
        *_table(exam),
        "",
        "Success by kind of question, after the last stage:",
        "",
        *_kinds(exam[recipe.run.stages[-1]]),
        "",
        "## Limits",
        "",
        _LIMITS,
    ]
    return "\n".join(rows) + "\n"


def _stage(recipe: Recipe, out: Path, stage: StageName) -> str:
    rows = read_curve(out / stage / CURVE)
    column, chosen = _COLUMNS[stage], recipe.stage(stage)
    values = [float(row[column]) for row in rows if row.get(column)]
    tenth = max(1, len(values) // 10)
    done = int(rows[-1][STEP])
    steps = f"{done} steps" if done == chosen.steps else f"{done} steps of {chosen.steps}"
    told = ", ".join([steps, *(f"{setting} {getattr(chosen, setting):g}" for setting in _SETTINGS[stage]), _METHODS[chosen.method]])
    minutes = float(rows[-1].get(SECONDS) or 0) / 60
    return (
        f"- Stage {stage}: {told}; {column} {fmean(values[:tenth]):.3f} in the first tenth, {fmean(values[-tenth:]):.3f} in the last; "
        f"{minutes:.0f} minutes."
    )


def _table(exam: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| after | questions | number | success | over half | mean reward | thinking tokens |"
    yield "|---|---|---|---|---|---|---|"
    for stage, splits in exam.items():
        for split, found in sorted(splits.items(), key=lambda item: list(_SPLITS).index(item[0])):
            yield (
                f"| {stage} | {_SPLITS[split]} | {found['num']} | {found['success']:.3f} | {found['over_half']:.3f} "
                f"| {found['reward']:.3f} | {found['num_think_tokens']:.1f} |"
            )


def _kinds(exam: Mapping[str, Any]) -> Sequence[str]:
    kinds = sorted({kind for split in ("val", "ood") for kind in exam[split]["kinds"]})

    def told(split: str, kind: str) -> str:
        found = exam[split]["kinds"].get(kind)
        return f"{found['success']:.2f} of {found['num']}" if found else ""

    rows = [f"| {kind} | {told('val', kind)} | {told('ood', kind)} |" for kind in kinds]
    return ["| kind | in distribution | out of it |", "|---|---|---|", *rows]
