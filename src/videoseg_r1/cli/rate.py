"""videoseg rate: how hard a query is for a video, and how many tokens of reasoning that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from videoseg_r1.cli.options import DeviceOption, OnCorruptOption
from videoseg_r1.cli.terminal import Outcome, Terminal
from videoseg_r1.errors import InvalidQuery, UsageError


def rate(
    terminal: Terminal,
    *,
    source: Annotated[Path, typer.Argument(metavar="VIDEO|MANIFEST", help="A video, or JSON lines with video, query and maybe id.")],
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="What would be looked for in the video.")] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="Whose model rates; it must see pictures: 3b, 7b, endpoint, ...", show_default=False),
    ] = None,
    device: DeviceOption = "auto",
    mode: Annotated[
        Literal["tiers", "quantile"], typer.Option("--mode", help="Fixed thresholds of the tiers, or such that part the items in thirds.")
    ] = "tiers",
    on_corrupt: OnCorruptOption = "error",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask the model again, and remember nothing.")] = False,
) -> Outcome:
    """Rate how hard queries are, with the vision-language model of a preset.

    Example: videoseg rate race.mp4 "the runner who overtakes last" --preset 7b
    """
    if query is None and source.suffix != ".jsonl":
        raise InvalidQuery("there is no query", where=str(source), fix="say it after the video, or give a manifest that ends in .jsonl")

    from videoseg_r1.difficulty.cache import RatingCache
    from videoseg_r1.difficulty.rater import Rater
    from videoseg_r1.difficulty.report import rate_items, row, thresholds
    from videoseg_r1.presets import table as presets

    if preset is None:
        fix = f"add --preset with one of {', '.join(presets.presets_that_see())}"
        raise UsageError("rating needs a model that sees pictures", where="--preset", why="no preset was named", fix=fix)
    from videoseg_r1.video.manifest import Item, read_manifest

    items = read_manifest(source) if query is None else [Item(source, query, source.name)]
    chat = presets.chat_of(preset, device)
    rater = Rater(chat, None if no_cache else RatingCache(), on_corrupt=on_corrupt)
    rated = []
    with terminal.progress() as progress:
        for one in rate_items(rater, items):
            rated.append(one)
            progress("rate", len(rated), len(items))
    failed = [one.error for one in rated if one.error]
    if query is not None and failed:
        raise failed[0]
    tiers = thresholds(rated, mode)
    document = {
        "rater": rater.id,
        "mode": mode,
        "tiers": tiers._asdict(),
        "items": [row(one, tiers) for one in rated],
        "failed": len(failed),
        "notes": list(chat.notes),
    }
    return Outcome(document, _text(document), exit_code=int(bool(failed)))


def _text(document: Mapping[str, Any]) -> str:
    lines = [_line(item) for item in document["items"]]
    return "\n".join([*lines, *(f"note: {note}" for note in document["notes"])])


def _line(item: Mapping[str, Any]) -> str:
    if "error" in item:
        return f"{item['id']}: failed, {item['error']['what']}: {item['error']['where']}"
    ratings = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in item["ratings"].items())
    imputed = " (imputed)" if item["imputed"] else ""
    notes = "".join(f"\n  {note}" for note in item["notes"])
    return f"{item['id']}: D {item['D']:.1f}{imputed}, {item['tier']}, {item['budget']} tokens; {ratings}{notes}"
