"""The table of datasets: what each can be used for, its splits, how its folder looks, and which loader reads it.

The command line, recipes and evaluation read this table. A loader is imported when it is first used, so that printing help or reading a
recipe stays light. To add a dataset, write a loader that returns `Clip`s and add a row. Not here: the loaders.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

from videoseg_r1.errors import UnknownName, name_hint, unknown_name

if TYPE_CHECKING:
    from videoseg_r1.datasets.clip import Clip

Use: TypeAlias = Literal["evaluation", "training"]


class Loader(Protocol):
    """Returns the clips of a split out of its folder, all or those of some names."""

    def __call__(self, root: str | Path, videos: Collection[str] | None = None, split: str = ...) -> list[Clip]: ...


@dataclass(frozen=True, slots=True)
class Dataset:
    """One row of the table.

    Attributes:
        summary: what it is, in one line.
        layout: what its folder holds, in one line; the module of the loader says it in full.
        splits: its parts that can be loaded, the default first.
        uses: what it can be used for.
        loader: "module:function" of a `Loader`.
    """

    summary: str
    layout: str
    splits: tuple[str, ...]
    uses: tuple[Use, ...]
    loader: str

    def load(self, root: str | Path, videos: Collection[str] | None = None, split: str | None = None) -> list[Clip]:
        """Return the clips of a split, the default one when it is not given. Raises UnknownName, and what the loader raises."""
        chosen = self.splits[0] if split is None else split
        if chosen not in self.splits:
            raise unknown_name("split", chosen, self.splits)
        module, function = self.loader.split(":")
        return cast("Loader", getattr(import_module(module), function))(root, videos, chosen)


DATASETS: Mapping[str, Dataset] = {
    "davis16": Dataset(
        "DAVIS-2016 with expressions in a JSON",
        "JPEGImages/480p, Annotations/480p, meta_expressions.json",
        ("all",),
        ("evaluation",),
        "videoseg_r1.datasets.davis:load_davis16",
    ),
    "davis17": Dataset(
        "DAVIS-2017 with expressions in a JSON, several objects in a clip",
        "as davis16",
        ("all",),
        ("evaluation",),
        "videoseg_r1.datasets.davis:load_davis17",
    ),
    "ref_youtube_vos": Dataset(
        "Ref-YouTube-VOS",
        "meta_expressions/train/meta_expressions.json, train/JPEGImages, train/Annotations",
        ("train",),
        ("training",),
        "videoseg_r1.datasets.ref_youtube_vos:load_ref_youtube_vos",
    ),
    "mevis": Dataset(
        "MeViS, version 1",
        "SPLIT/meta_expressions.json, SPLIT/mask_dict.json, SPLIT/JPEGImages",
        ("train", "valid_u"),
        ("training",),
        "videoseg_r1.datasets.mevis:load_mevis",
    ),
    "ref_davis17": Dataset(
        "Ref-DAVIS17, converted or as it is downloaded",
        "as ref_youtube_vos; or DAVIS, davis_text_annotations",
        ("train",),
        ("training",),
        "videoseg_r1.datasets.ref_davis17:load_ref_davis17",
    ),
}


def names_for(use: Use) -> list[str]:
    """Return the names of the datasets that can be used for this, in the order of the table."""
    return [name for name, row in DATASETS.items() if use in row.uses]


def dataset_for(use: Use, name: str) -> Dataset:
    """Return the row of a dataset. Raises UnknownName: there is none of this name, or it cannot be used for this."""
    known = names_for(use)
    if name in DATASETS and name not in known:
        why = f"it is for {', '.join(DATASETS[name].uses)}"
        raise UnknownName(f"this dataset is not for {use}", where=name, why=why, fix=name_hint(name, known))
    if name not in known:
        raise unknown_name("dataset", name, known)
    return DATASETS[name]
