"""Every query of the world means exactly what a slow and simple reading of the scene says, whatever the seed.

The reading here shares no code with the world: it draws every frame on a grid, without margins, and looks.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videoseg_r1.prompts import CANONICAL, parse_reply
from videoseg_r1.training.world import KINDS_OF_QUERY, NOISES, SPLITS, Query, Scene, draw_moment, draw_world_sample, names
from videoseg_r1.training.world.names import FACTS
from videoseg_r1.training.world.scene import FILL
from videoseg_r1.training.world.templates import BIGGER, SIDES
from videoseg_r1.training.world.wording import COLOUR_WORDS, SYNONYMS
from videoseg_r1.types import Reasoning

GRID = 120
MARGIN = 2 * GRID  # of the canvas around the picture, so that what is outside can be counted too
RANKS_OF_PLACE = {"leftmost": (0, 1), "rightmost": (0, -1), "highest": (1, 1), "lowest": (1, -1)}
TWO = {"largest": -1, "smallest": 1}


class Reading:
    """What a scene shows, found by drawing boxes on a grid of GRID x GRID over the picture."""

    def __init__(self, scene: Scene, target_frame: int) -> None:
        self.things = scene.things
        self.num_frames = scene.num_frames
        self.frame = target_frame
        aspect = scene.size[0] / scene.size[1]
        self.corners = []
        for thing in scene.things:
            high = np.sqrt(thing.sizes**2 / FILL / thing.aspect)
            wide = high * thing.aspect / aspect
            x, y = thing.centers.T
            self.corners.append(np.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], 1))

    def share_inside(self, thing: int, frame: int) -> float:
        x1, y1, x2, y2 = self.corners[thing][frame]
        xs, ys = np.linspace(x1, x2, 401)[:-1] + (x2 - x1) / 800, np.linspace(y1, y2, 401)[:-1] + (y2 - y1) / 800
        return float(((xs >= 0) & (xs < 1)).mean() * ((ys >= 0) & (ys < 1)).mean())

    def there(self, thing: int) -> list[int]:
        return [frame for frame in range(self.num_frames) if self.share_inside(thing, frame) >= 0.5]

    def middle(self, thing: int) -> tuple[float, float]:
        x1, y1, x2, y2 = np.clip(self.corners[thing][self.frame], 0, 1)
        return float(x1 + x2) / 2, float(y1 + y2) / 2

    def area(self, thing: int) -> float:
        x1, y1, x2, y2 = np.clip(self.corners[thing][self.frame], 0, 1)
        return float((x2 - x1) * (y2 - y1))

    def shown(self, thing: int) -> float:
        """Side of the thing, summed over the frames in which at least half of it is in the picture and uncovered."""
        total = 0.0
        for frame in range(self.num_frames):
            x1, y1, x2, y2 = self.corners[thing][frame]
            share = self.share_inside(thing, frame)
            covered = max((self.covered(thing, other, frame) for other in range(thing + 1, len(self.things))), default=0.0)
            if share >= 0.5 and covered <= 0.5:
                total += float(np.sqrt((x2 - x1) * (y2 - y1) * share))
        return total

    def covered(self, thing: int, other: int, frame: int) -> float:
        """Part of what is in the picture of a thing that another one hides."""
        own, near = (np.clip(self.corners[index][frame], 0, 1) for index in (thing, other))
        low, high = np.maximum(own[:2], near[:2]), np.minimum(own[2:], near[2:])
        return float(np.clip(high - low, 0, None).prod() / max(float((own[2:] - own[:2]).prod()), 1e-9))

    def steps(self, thing: int) -> np.ndarray:
        """Displacement per frame in units of the picture, right and down."""
        return np.diff(self.things[thing].centers, axis=0)

    def holds(self, thing: int, attribute: str, value: str) -> bool:
        return getattr(self, f"is_{attribute}")(thing, value)

    def is_name(self, thing: int, value: str) -> bool:
        return self.things[thing].kind.name == value

    def is_breed(self, thing: int, value: str) -> bool:
        return self.things[thing].breed == value

    def is_category(self, thing: int, value: str) -> bool:
        return value.replace(" ", "_") in self.things[thing].kind.categories.split()

    def is_fact(self, thing: int, value: str) -> bool:
        return [self.things[thing].kind.name in fact.kinds.split("|") for fact in FACTS if fact.text == value] == [True]

    def is_colour(self, thing: int, value: str) -> bool:
        return sorted(value.split(" and ")) == sorted(self.things[thing].colours)

    def is_place(self, thing: int, value: str) -> bool:
        x, y = self.middle(thing)
        return {"left": x < 0.36, "right": x > 0.64, "top": y < 0.33, "bottom": y > 0.67}[value]

    def is_motion(self, thing: int, value: str) -> bool:
        sizes, steps = self.things[thing].sizes, self.steps(thing)
        if value in ("nearer", "away"):
            return bool((sizes[-1] > sizes[0]) if value == "nearer" else (sizes[-1] < sizes[0]))
        moves = np.abs(steps).sum(1) > 1e-9
        if value == "still":
            return not moves.any()
        if not moves.all():
            return False
        own = self.things[thing].velocities
        if value == "fast":
            return bool((np.linalg.norm(own, axis=1) > 0.06).all())
        along = own @ {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}[value]
        return bool((along > np.linalg.norm(own, axis=1) * 0.8).all())

    def moment(self, thing: int, deed: str) -> float | None:
        there = self.there(thing)
        if deed == "enter":
            return there[0] if there[0] > 0 else None
        if deed == "leave":
            return there[-1] if there[-1] < self.num_frames - 1 else None
        own = self.things[thing].velocities
        moves = np.abs(own).sum(1) > 1e-9
        for frame in range(1, self.num_frames):
            change = "stop" if moves[frame - 1] and not moves[frame] else "start" if moves[frame] and not moves[frame - 1] else ""
            if moves[frame] and moves[frame - 1] and own[frame] @ own[frame - 1] < 0:
                change = "turn"
            if change == deed:
                return frame
        return None

    def is_deed(self, thing: int, value: str) -> bool:
        return self.moment(thing, value) is not None

    def is_overtakes(self, thing: int, value: str) -> bool:
        return any(self.passes(thing, other) for other in range(len(self.things)) if self.things[other].kind.name == value)

    def passes(self, thing: int, other: int) -> bool:
        both = sorted(set(self.there(thing)) & set(self.there(other)))
        ways = [np.sign(self.steps(index)[:, 0]) for index in (thing, other)]
        if other == thing or not both or len({*ways[0], *ways[1]}) != 1 or ways[0][0] == 0:
            return False
        if any(abs(self.things[i].velocities[0, 0]) < 2 * abs(self.things[i].velocities[0, 1]) for i in (thing, other)):
            return False
        leads = [ways[0][0] * (self.things[thing].centers[f, 0] - self.things[other].centers[f, 0]) for f in (both[0], both[-1])]
        return leads[0] < 0 < leads[1]

    def answer(self, query: Query) -> tuple[int, ...]:
        among = [thing for thing in range(len(self.things)) if all(self.holds(thing, *asked) for asked in query.filters)]
        if not query.rank:
            return tuple(among)
        if query.rank == "main":
            return (max(among, key=self.shown),)
        end, _, deed = query.rank.partition(" to ")
        if deed:
            moments = {thing: moment for thing in among if (moment := self.moment(thing, deed)) is not None}
            return (min(moments, key=lambda thing: moments[thing] * (1 if end == "first" else -1)),)
        if query.rank in TWO:
            return (min(among, key=lambda thing: TWO[query.rank] * self.area(thing)),)
        axis, sign = RANKS_OF_PLACE[query.rank]
        return (min(among, key=lambda thing: sign * self.middle(thing)[axis]),)


@pytest.mark.parametrize("kind", KINDS_OF_QUERY)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), split=st.sampled_from(SPLITS))
def test_a_query_means_what_a_brute_force_reading_says(kind: str, seed: int, split: str) -> None:
    sample = draw_world_sample(seed, split, kind=kind, noise=NOISES[0])
    reading = Reading(sample.scene, sample.pick.target_frame)
    assert reading.answer(sample.query) == tuple(sorted(sample.targets)), sample.query


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), split=st.sampled_from(SPLITS))
def test_the_sentence_says_what_the_query_means(seed: int, split: str) -> None:
    query = draw_world_sample(seed, split).query
    assert "{" not in query.text
    for attribute, value in query.filters:
        if attribute in ("fact", "overtakes", "breed"):
            assert value in query.text
        elif attribute == "colour":
            assert any(word in query.text for word in (value, *COLOUR_WORDS.get(value, "").split("|")) if word)
        elif attribute in ("name", "category"):
            asks_who = "{who}" in query.template.text and value == "person"
            words = ("who",) if asks_who else (value, names.plural(value), *SYNONYMS.get(value, "").split("|"))
            assert any(word in query.text.lower() for word in words if word)
    end, _, deed = query.rank.partition(" to ")
    if deed:
        assert end in query.text
    elif query.rank != "main" and query.rank:
        assert any(word in query.text for word in (SIDES | BIGGER)[query.rank].split("|"))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), split=st.sampled_from(SPLITS), noise=st.sampled_from(NOISES))
def test_any_sample_can_be_taught(seed: int, split: str, noise) -> None:
    sample = draw_world_sample(seed, split, noise=noise)
    read = parse_reply(sample.reply(), frame_size=CANONICAL, mode="strict")
    assert isinstance(read, Reasoning)
    assert len(read.cues) == len(sample.targets) == len(sample.boxes)
    assert 1 <= sample.difficulty <= 10
    moment = draw_moment(seed, split, noise=noise)
    assert 0 <= moment.interval[0] <= moment.interval[1] <= 100
