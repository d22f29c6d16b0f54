"""From replies to ratings, D, tiers and budgets, and the memory of ratings."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.scripted_chat import ScriptedChat, words
from videoseg_r1.difficulty import NEUTRAL, RATINGS, Tiers, difficulty_of, tier_of, tiers_of, token_budget
from videoseg_r1.difficulty.cache import RatingCache, RatingKey, content_hash
from videoseg_r1.difficulty.rater import Rater
from videoseg_r1.errors import InvalidConfig, InvalidDocument, InvalidQuery, OutputError, SourceNotFound
from videoseg_r1.prompts import parse_ratings

GOOD = dict(zip(RATINGS, (2.0, 4.0, 6.0, 8.0, 10.0), strict=True))
KEY = RatingKey("0" * 64, "the dog", "a model")


def reply(**changed: object) -> str:
    return json.dumps({name: int(value) for name, value in GOOD.items()} | changed)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder of ten frames."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for k in range(10):
        Image.fromarray(np.full((60, 90, 3), 20 * k, np.uint8)).save(folder / f"{k:05d}.png")
    return folder


def test_the_mean_of_the_ratings_is_the_difficulty() -> None:
    found = difficulty_of(GOOD)
    assert (found.value, found.known, found.imputed, found.notes) == (6.0, 6.0, False, ())
    assert found.ratings == GOOD


def test_ratings_out_of_range_are_clamped_and_that_is_noted() -> None:
    found = difficulty_of(GOOD | {"scene_complexity": -3.0, "motion_complexity": 1e300})
    assert found.ratings["scene_complexity"] == 1.0
    assert found.ratings["motion_complexity"] == 10.0
    assert found.value == pytest.approx((1 + 4 + 6 + 10 + 10) / 5)
    assert found.notes == ("scene_complexity was -3, out of range", "motion_complexity was 1e+300, out of range")


def test_three_ratings_are_enough_and_two_are_not() -> None:
    three = difficulty_of({name: GOOD[name] for name in RATINGS[:3]})
    assert (three.value, three.imputed) == (4.0, False)
    assert three.notes == ("motion_complexity is missing", "linguistic_ambiguity is missing")
    two = difficulty_of({name: GOOD[name] for name in RATINGS[:2]})
    assert (two.value, two.known, two.imputed) == (NEUTRAL, None, True)


@pytest.mark.parametrize(
    ("d", "tier", "budget"),
    [(1.0, "easy", 48), (4.0, "easy", 48), (4.2, "medium", 72), (7.0, "medium", 72), (7.2, "hard", 112), (10.0, "hard", 112)],
)
def test_tiers_end_where_they_say(d: float, tier: str, budget: int) -> None:
    assert (tier_of(d), token_budget(d)) == (tier, budget)


@pytest.mark.parametrize(("d", "budget"), [(1.0, 40), (1.2, 42), (5.5, 76), (6.0, 80), (10.0, 112), (None, 76)])
def test_the_linear_budget(d: float | None, budget: int) -> None:
    assert token_budget(d, "linear") == budget


def test_an_unknown_difficulty_gets_a_medium_budget_whatever_the_tiers() -> None:
    assert token_budget(None) == 72
    assert [token_budget(d, medium=36) for d in (1.0, None, 10.0)] == [24, 36, 56]
    assert [token_budget(d, "linear", medium=36) for d in (1.0, 10.0)] == [20, 56]
    assert token_budget(None, tiers=Tiers(1.5, 2.5)) == 72


@pytest.mark.parametrize("d", [0.9, 10.1, float("nan"), float("inf")])
def test_a_difficulty_out_of_range_is_an_error(d: float) -> None:
    with pytest.raises(InvalidConfig, match="out of range"):
        token_budget(d)


def test_quantiles_part_a_set_in_thirds() -> None:
    values = list(np.random.default_rng(0).uniform(5, 6, 300))
    tiers = tiers_of(values)
    counts = [sum(tier_of(value, tiers) == tier for value in values) for tier in ("easy", "medium", "hard")]
    assert counts == [99, 102, 99]


def test_values_that_cannot_be_told_apart_are_medium() -> None:
    assert tier_of(5.0, tiers_of([5.0])) == "medium"
    tiers = tiers_of([4.8, 5.0, 5.0, 5.0, 5.0, 5.0, 5.2])
    assert [tier_of(value, tiers) for value in (4.8, 5.0, 5.2)] == ["easy", "medium", "hard"]
    with pytest.raises(InvalidConfig):
        tiers_of([])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (reply(), GOOD),
        (f"<think>hm {{</think>\n```json\n{reply()}\n```", GOOD),
        (f"<answer>{reply()}</answer>", GOOD),
        (reply(scene_complexity="9", motion_complexity=True, temporal_ambiguity=None, more=1), {RATINGS[1]: 4.0, RATINGS[4]: 10.0}),
        ('{"scene_complexity": NaN, "motion_complexity": 1e999, "linguistic_ambiguity": 3.5}', {"linguistic_ambiguity": 3.5}),
        ('{"scene_complexity": ' + "9" * 6000 + "}", {}),
        ("", {}),
        ("I would say 7.", {}),
        ("[1, 2, 3, 4, 5]", {}),
        ("{" * 20_000, {}),
        ('<think>{"scene_complexity": 3', {}),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_ratings_are_read_from_a_reply(text: str, found: dict[str, float]) -> None:
    assert parse_ratings(text, RATINGS) == found


def test_eight_frames_and_the_query_are_shown(clip: Path) -> None:
    chat = ScriptedChat(reply())
    assert Rater(chat).rate(clip, "  the   dog ").value == 6.0
    (messages, sampling, num_replies), *rest = chat.asked
    assert rest == []
    assert (sampling.temperature, num_replies) == (0.0, 1)
    assert set(sampling.schema["required"]) == set(RATINGS)  # type: ignore[index]
    said = words(messages[1])
    assert said.count("[") == 8
    assert '"the dog"' in said
    assert all(f'"{name}":' in said for name in RATINGS)


def test_a_bad_reply_is_asked_for_again_twice_with_other_seeds(clip: Path) -> None:
    chat = ScriptedChat("no idea", "{}", reply())
    found = Rater(chat).rate(clip, "the dog")
    assert (found.value, found.imputed, found.notes) == (6.0, False, ("2 replies had no usable ratings",))
    assert [(sampling.temperature, sampling.seed) for _, sampling, _ in chat.asked] == [(0.0, 0), (0.7, 1), (0.7, 2)]


def test_after_three_bad_replies_the_difficulty_is_imputed_and_not_remembered(clip: Path, tmp_path: Path) -> None:
    cache = RatingCache(tmp_path / "ratings")
    found = Rater(ScriptedChat("", "x", "{}"), cache).rate(clip, "the dog")
    assert (found.value, found.imputed) == (5.5, True)
    assert Rater(ScriptedChat(reply()), cache).rate(clip, "the dog").value == 6.0


def test_a_rating_is_remembered_by_content_query_and_rater(clip: Path, tmp_path: Path) -> None:
    cache = RatingCache(tmp_path / "ratings")
    first = Rater(ScriptedChat(reply()), cache).rate(clip, "the dog")
    silent = ScriptedChat()
    assert Rater(silent, cache).rate(clip, " the  dog") == first
    moved = clip.rename(tmp_path / "elsewhere")
    assert Rater(silent, cache).rate(moved, "the dog") == first
    assert silent.asked == []
    other = ScriptedChat(reply(), reply())
    Rater(other, cache).rate(moved, "the cat")
    other.description = "another model"
    Rater(other, cache).rate(moved, "the dog")
    (moved / "00009.png").write_bytes((moved / "00000.png").read_bytes())
    changed = ScriptedChat(reply())
    Rater(changed, cache).rate(moved, "the dog")
    assert (len(other.asked), len(changed.asked)) == (2, 1)


def test_without_a_cache_the_model_is_asked_every_time(clip: Path) -> None:
    chat = ScriptedChat(reply(), reply(scene_complexity=7))
    rater = Rater(chat)
    assert [rater.rate(clip, "the dog").value for _ in range(2)] == [6.0, 7.0]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "\0" * 9, '{"schema": "other/1"}', '{"schema": "videoseg-rating/1"}', "{}" * 9, "[" * 100_000,
     '{"schema": "videoseg-rating/1", "key": {"video": "a", "query": "b", "rater": "c"}, "ratings": {}}'],
    ids=lambda value: value[:12],
)  # fmt: skip
def test_a_damaged_entry_is_noted_and_made_anew(clip: Path, tmp_path: Path, content: str) -> None:
    cache = RatingCache(tmp_path / "ratings")
    Rater(ScriptedChat(reply()), cache).rate(clip, "the dog")
    (entry,) = cache.folder.iterdir()
    entry.write_text(content)
    found = Rater(ScriptedChat(reply()), cache).rate(clip, "the dog")
    assert found.value == 6.0
    (note,) = found.notes
    assert note.startswith(f"an entry of the cache is damaged and was made anew: {entry}")
    assert Rater(ScriptedChat(), cache).rate(clip, "the dog").notes == ()


def test_an_entry_about_something_else_is_no_rating_of_this(tmp_path: Path) -> None:
    cache = RatingCache(tmp_path)
    other = RatingKey(KEY.video, "the cat", KEY.rater)
    cache.put(other, difficulty_of(GOOD))
    (tmp_path / other.file_name).rename(tmp_path / KEY.file_name)
    with pytest.raises(InvalidDocument):
        cache.get(KEY)


def test_a_folder_that_cannot_be_written_costs_no_rating(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = RatingCache(tmp_path / "file" / "ratings")
    with pytest.raises(OutputError):
        cache.put(KEY, difficulty_of(GOOD))
    found = Rater(ScriptedChat(reply()), cache).rate(clip, "the dog")
    assert found.value == 6.0
    assert found.notes[0].startswith("a rating cannot be stored")


def _write_and_read(folder: Path, num: int) -> None:
    cache = RatingCache(folder)
    for _ in range(num):
        cache.put(KEY, difficulty_of(GOOD))
        found = cache.get(KEY)
        if found is None or found.value != 6.0:
            os._exit(1)


def test_processes_that_share_a_cache_do_not_disturb_each_other(tmp_path: Path) -> None:
    start = multiprocessing.get_context("spawn").Process
    processes = [start(target=_write_and_read, args=(tmp_path, 200)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == [KEY.file_name]


def test_the_content_of_a_folder_is_its_files_and_their_names(clip: Path) -> None:
    before = content_hash(clip)
    assert content_hash(clip) == before
    (clip / "00000.png").rename(clip / "99999.png")
    assert content_hash(clip) != before


def test_bad_input_is_refused_before_the_model_is_asked(clip: Path, tmp_path: Path) -> None:
    chat = ScriptedChat()
    rater = Rater(chat, RatingCache(tmp_path / "ratings"))
    with pytest.raises(SourceNotFound):
        rater.rate(tmp_path / "none.mp4", "the dog")
    with pytest.raises(InvalidQuery):
        rater.rate(clip, "  ")
    assert chat.asked == []
