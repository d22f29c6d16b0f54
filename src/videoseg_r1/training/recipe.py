"""A recipe: every choice of a training run, as frozen values out of a TOML file. No key may be missing, and no unknown key is accepted.

The recipes that come with the package say beside each value where it is from: the paper, VisionReasoner (VR), or this project.
Not here: what the values do (`run`, `trainers`), settings of the reward (`rewards.RewardConfig`, the section `reward`).
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from videoseg_r1.datasets.registry import names_for
from videoseg_r1.difficulty.levels import BudgetMode
from videoseg_r1.documents import at, build
from videoseg_r1.errors import InvalidConfig, InvalidDocument, SourceNotFound, name_hint, unknown_name
from videoseg_r1.rewards import RewardConfig, Terms

Table: TypeAlias = dict[str, Any]
StageName: TypeAlias = Literal["sft", "refine", "grpo"]
"""Examples, examples once more (after a change of the examples, as low-rank changes that are small to ship), rewards."""
WORLD = "world"
"""The data source that is drawn by this package; every other one is a dataset of clips."""
_SHIPPED = resources.files("videoseg_r1.training") / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The run as a whole, the section `run`.

    Attributes:
        stages: in the order in which they are run; each starts from the weights of the one before.
        seed: of data, sampling and new weights.
        precision: "bf16" computes in bfloat16 where that is safe and keeps float32 weights; "fp32" computes in float32, as does
            a processor without bfloat16.
        tracker: what shows the curves, besides the CSV that is always written.
        keep: number of newest checkpoints of a stage that are kept.
        max_bad_steps: steps in a row without a finite gradient after which the run ends with an error; each of them is skipped.
    """

    stages: tuple[StageName, ...]
    seed: int
    precision: Literal["bf16", "fp32"]
    tracker: Literal["trackio", "tensorboard", "wandb", "none"]
    keep: int
    max_bad_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is trained. The vision tower never is.

    Attributes:
        source: a name of `lite.reader.trained.DELTA_FILES` ("smollm2", and that with weights deltas up to some stage), a name of
            `models.MODELS`, or a folder.
        rank, alpha, dropout: of LoRA, in stages that use it.
        attention: implementation in transformers, for a model that sees pictures; one that reads text has its own (`shared_prefix`).
        checkpointing: compute activations again in the backward pass instead of keeping them, which saves memory.
    """

    source: str
    rank: int
    alpha: int
    dropout: float
    attention: Literal["eager", "sdpa", "flash_attention_2"]
    checkpointing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What it is trained on. Raises UnknownName: there is no such source.

    Attributes:
        source: `WORLD` is drawn and read as text; a name of `datasets.registry` with the use "training" means clips in `root`.
        root: folder of the clips.
        ratings: file with the output of `videoseg rate --json` for the clips, "" for a medium budget everywhere; the world knows its
            own difficulty.
        budget: how difficulty becomes a token budget; see `difficulty.token_budget`.
        num_easy: number of easy scenes of the world that SFT begins with: with few things in a scene, answering is learned sooner.
        seen_every: every so many questions of GRPO, the transcript is what perception writes of the scene rendered as a video; 0 for
            never.
    """

    source: str
    root: str
    ratings: str
    budget: BudgetMode
    num_easy: int
    seen_every: int

    def __post_init__(self) -> None:
        known = (WORLD, *names_for("training"))
        if self.source not in known:
            raise unknown_name("data to train on", self.source, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sft:
    """A stage of supervised training; `Grpo` has all of it as well.

    Attributes:
        method: "full" trains all weights of the language model, "lora" small additions to its layers.
        samples: number of examples; in SFT on the world, of scenes with several questions each.
        steps: updates of the weights; 0 goes over all samples once.
        batch_size: samples (GRPO: prompts) per update, over all devices.
        micro_batch: samples (GRPO: completions) that a device computes at once.
        learning_rate, schedule, warmup_steps, weight_decay, beta1, beta2, max_grad_norm: of AdamW.
        log_steps, save_steps: updates between two rows of the curve, and between two checkpoints.
    """

    method: Literal["full", "lora"]
    samples: int
    steps: int
    batch_size: int
    micro_batch: int
    learning_rate: float
    schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"]
    warmup_steps: int
    weight_decay: float
    beta1: float
    beta2: float
    max_grad_norm: float
    log_steps: int
    save_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grpo(Sft):
    """A stage of GRPO.

    Attributes:
        num_generations: completions per prompt.
        max_tokens: length of a completion at most.
        temperature, top_p: of sampling.
        beta: weight of the KL term; 0 needs no reference model.
        kl_correction: weigh the KL term by the importance ratio, which VisionReasoner does not.
        epsilon_low, epsilon_high: clipping of the importance ratio.
        entropy: weight of the entropy bonus.
        iterations: updates per batch of completions.
        loss: "dapo" is the mean over the tokens of the batch, "grpo" the mean over completions of their means.
        scale_rewards: what the spread of rewards is taken over.
        mask_truncated: leave completions that were cut off out of the loss.
    """

    num_generations: int
    max_tokens: int
    temperature: float
    top_p: float
    beta: float
    kl_correction: bool
    epsilon_low: float
    epsilon_high: float
    entropy: float
    iterations: int
    loss: Literal["dapo", "grpo", "bnpo", "dr_grpo"]
    scale_rewards: Literal["group", "batch", "none"]
    mask_truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What matters on GPUs only.

    Attributes:
        zero: stage of DeepSpeed's ZeRO; 0 runs without DeepSpeed.
        vllm: where completions are drawn: "none" in the trainer, "colocate" on the same GPUs, "server" on others.
        vllm_memory: part of a GPU's memory that vLLM takes.
        vllm_parallel: GPUs that share one copy of the model in vLLM.
        max_model_tokens: prompt and completion together at most, in vLLM.
    """

    zero: Literal[0, 2, 3]
    vllm: Literal["none", "colocate", "server"]
    vllm_memory: float
    vllm_parallel: int
    max_model_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole recipe; `refine` may be left out where it is not run. Raises InvalidConfig: values that contradict each other."""

    run: RunSettings
    model: Model
    data: Data
    sft: Sft
    grpo: Grpo
    scale: Scale
    reward: RewardConfig
    refine: Sft | None = None

    def __post_init__(self) -> None:
        for name, stage in {"sft": self.sft, "refine": self.refine, "grpo": self.grpo}.items():
            if stage is None:
                continue
            for key in ("samples", "batch_size", "micro_batch", "learning_rate", "log_steps", "save_steps"):
                if getattr(stage, key) <= 0:
                    raise InvalidConfig("a value of the recipe must be above 0", where=f"{name}.{key}")
        if self.grpo.num_generations < 2:
            raise InvalidConfig("GRPO compares completions", where="grpo.num_generations", fix="use at least 2")
        if not self.run.stages or len(set(self.run.stages)) < len(self.run.stages):
            raise InvalidConfig("each stage can be run once", where="run.stages", fix='use ["sft", "refine", "grpo"] or some of them')
        if "refine" in self.run.stages and not self.refine:
            raise InvalidConfig("a stage has no settings", where="run.stages: refine", fix="add a section [refine]")

    def stage(self, name: StageName) -> Sft:
        """Return the settings of a stage that is run."""
        return getattr(self, name)

    def num_before(self, name: StageName) -> int:
        """Return how many samples the stages before this one have: different stages see different ones."""
        return sum(self.stage(earlier).samples for earlier in self.run.stages[: self.run.stages.index(name)])


def shipped() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.name.removesuffix(".toml") for path in _SHIPPED.iterdir() if path.name.endswith(".toml"))


def load_recipe(source: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """Return a recipe.

    Args:
        source: a file, or a name of `shipped`.
        changes: such as "grpo.beta=0": values as TOML writes them, text also without quotes.
    Raises: SourceNotFound: neither file nor name. InvalidDocument: not TOML, or a key is missing, unknown or of another type.
        InvalidConfig: a change is not of this form, or a value is out of range.
    """
    text, where = _read(source)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidDocument("not a TOML document", where=where, why=str(error)) from error
    for change in changes:
        _change(table, change)
    return recipe_of(table, where)


def recipe_of(table: Mapping[str, Any], where: str = "") -> Recipe:
    """Return the recipe that a TOML document holds, or the recipe.json of a run. Raises InvalidDocument, InvalidConfig."""
    place = f"{where}: " if where else ""
    _check_keys(Recipe, table, place)
    reward = dict(table.get("reward", {}))
    weights = reward.pop("weights", {})
    if isinstance(weights, list):  # as JSON has a named tuple
        weights = dict(zip(Terms._fields, cast("list[Any]", weights), strict=False))
    config = build(RewardConfig, reward, f"{where}: reward" if where else "reward")
    config = replace(
        config, weights=Terms(**{name: build(float, value, f"{place}reward.weights.{name}") for name, value in weights.items()})
    )
    missing = [name for name in _SECTIONS if name not in table and name != _OPTIONAL]
    if missing:
        raise InvalidDocument("a section of the recipe is missing", where=at(place, missing[0]), fix=f"a recipe has {', '.join(_SECTIONS)}")
    parts = {name: build(kind, table[name], at(place, name)) for name, kind in _SECTIONS.items() if table.get(name) is not None}
    return Recipe(**parts, reward=config)


_SECTIONS: Mapping[str, Any] = {"run": RunSettings, "model": Model, "data": Data, "sft": Sft, "refine": Sft, "grpo": Grpo, "scale": Scale}
_OPTIONAL = "refine"


def _read(source: str | Path) -> tuple[str, str]:
    name = str(source).removesuffix(".toml")
    if not Path(source).is_file() and name in shipped():
        return (_SHIPPED / f"{name}.toml").read_text(encoding="utf-8"), f"recipe {name}"
    try:
        return Path(source).read_text(encoding="utf-8"), str(source)
    except UnicodeDecodeError as error:
        raise InvalidDocument("not a TOML document", where=str(source), why=str(error)) from error
    except OSError as error:
        fix = f"give a TOML file, or one of {', '.join(shipped())}"
        raise SourceNotFound("the recipe cannot be read", where=str(source), why=error.strerror or str(error), fix=fix) from error


def _change(table: Table, change: str) -> None:
    path, equals, text = change.partition("=")
    *sections, key = path.strip().split(".")
    if not equals or not sections or not key:
        raise InvalidConfig("not a change of a recipe", where=change, fix="write it like grpo.beta=0")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for section in sections:
        inner: object = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise InvalidConfig("not a section of the recipe", where=change)
        table = cast("Table", inner)
    table[key] = value


def _check_keys(kind: Any, table: object, place: str) -> None:
    """Raise InvalidDocument for the first key that the dataclass or named tuple does not have."""
    if not isinstance(table, Mapping):
        return  # `build` says what is wrong with it
    hints = typing.get_type_hints(kind)
    for key, value in cast("Mapping[str, object]", table).items():
        if key not in hints:
            raise InvalidDocument("an unknown key", where=at(place, key), fix=name_hint(key, hints))
        for inner in (hints[key], *typing.get_args(hints[key])):
            if dataclasses.is_dataclass(inner) or inner is Terms:
                _check_keys(inner, value, at(place, key))
