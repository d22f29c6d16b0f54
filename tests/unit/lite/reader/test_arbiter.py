"""The arbiters: the matcher has to be sure to replace votes or an answer, and both must find nothing before nothing is answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoseg_r1.lite.language.matcher import MatcherAnswer
from videoseg_r1.lite.language.words import understand
from videoseg_r1.lite.reader.arbiter import Arbiter, VoteArbiter
from videoseg_r1.stages.protocols import Shown
from videoseg_r1.types import Box, Cue, Reasoning

_CUE, _ELSEWHERE = Cue(Box(1, 2, 30, 40)), Cue(Box(60, 2, 90, 40))


class Fixed:
    def __init__(self, text, *cues, failed=False, presence=None, share=1.0, query="the dog", colours=None):
        presence = float(bool(cues)) if presence is None else presence
        answer = Reasoning(text, cues, num_tokens=len(text.split()), presence=presence, failed=failed)
        self.reasoning, self.matched = answer, MatcherAnswer(answer, share, understand(query), colours or {})

    def reason(self, target, context, query):
        return self.reasoning

    def answer(self, target, context, query):
        return self.matched


def test_who_found_something_is_believed():
    first = Fixed("So 1.", _CUE)
    for second in (
        Fixed("Nothing.", query="the duckling"),
        Fixed("The same.", Cue(Box(1, 2, 29, 40))),
        Fixed("Rather that.", _ELSEWHERE, share=0.6),
        Fixed("That, if it is there.", _ELSEWHERE, presence=0.6),
    ):
        assert Arbiter(first, second).reason(None, None, "the dog") is first.reasoning


def test_one_thing_does_not_outweigh_several_that_are_asked_for():
    first = Fixed("So 1, 2.", _CUE, _ELSEWHERE)
    assert Arbiter(first, Fixed("That.", _CUE, query="both dogs")).reason(None, None, "both dogs") is first.reasoning


@pytest.mark.parametrize("cues", [(_CUE,), (_CUE, _ELSEWHERE)])
def test_a_second_one_that_is_sure_which_is_meant_outweighs_another_answer(cues):
    found = Arbiter(Fixed("So 1.", *cues), Fixed("Surely that.", _ELSEWHERE, share=0.8)).reason(None, None, "the dog")
    assert found.cues == (_ELSEWHERE,)
    assert "So 1." in found.text
    assert "Surely that." in found.text
    assert found.notes == ("the model named other objects than the matcher, whose answer fits the words better and was used",)


@pytest.mark.parametrize(
    ("colours", "replaced"),
    [({1: 0.02, 2: 0.6}, True), ({1: 0.2, 2: 0.6}, False), ({1: 0.02, 2: 0.2}, False), ({2: 0.6}, False), ({}, False)],
)
def test_an_answer_without_the_colour_that_is_named_gives_way_to_one_that_has_it(colours, replaced):
    white, red = replace(_CUE, track_id=1), replace(_ELSEWHERE, track_id=2)
    matched = Fixed("The red one.", red, share=0.6, query="the red car", colours=colours)
    found = Arbiter(Fixed("So 1.", white), matched).reason(None, None, "the red car")
    assert found.cues == ((red,) if replaced else (white,))


def test_a_second_one_that_knows_the_word_and_sees_nothing_like_it_outweighs_an_answer():
    found = Arbiter(Fixed("So 1.", _CUE), Fixed("None looks like it.", query="the rabbit")).reason(None, None, "the rabbit")
    assert found.cues == ()
    assert found.presence == 0
    assert "None looks like it." in found.text
    assert found.notes == ("the model named an object that nothing in the scene resembles; the matcher's answer was used",)


@pytest.mark.parametrize("failed", [False, True])
def test_where_the_first_finds_nothing_the_second_is_asked_and_the_answer_says_so(failed):
    found = Arbiter(Fixed("So none.", failed=failed), Fixed("It looks like one.", _CUE)).reason(None, None, "the dog")
    assert found.cues == (_CUE,)
    assert not found.failed
    assert "So none." in found.text
    assert "It looks like one." in found.text
    assert found.num_tokens == 6
    assert found.notes == (
        f"{'no reply of the model could be read' if failed else 'the model named no object'}; the matcher's answer was used",
    )


def test_a_second_one_that_is_not_sure_counts_only_where_the_first_could_not_be_understood():
    unsure = Fixed("It looks like one.", _CUE, presence=0.6)
    found = Arbiter(Fixed("So none."), unsure).reason(None, None, "the dog")
    assert found.cues == ()
    assert found.notes == ("the model named no object, and the matcher was not sure of its own",)
    assert Arbiter(Fixed("", failed=True), unsure).reason(None, None, "the dog").cues == (_CUE,)
    assert Arbiter(Fixed("So none."), Fixed("One.", _CUE, presence=0.75)).reason(None, None, "the dog").cues == (_CUE,)


def test_nothing_is_answered_where_both_find_nothing():
    found = Arbiter(Fixed("So none."), Fixed("None looks like it.")).reason(None, None, "the dog")
    assert found.cues == ()
    assert found.presence == 0
    assert found.notes == ("the model named no object, and the matcher found none either",)


class Votes:
    """A voter with known votes, which knows where the thing is seen."""

    def __init__(self, positions, seen=None):
        self.voted, self.where = positions, seen

    def intervals(self, frames, query, k):
        return [(0.0, 100.0)] * k

    def positions(self, frames, query, m):
        return self.voted

    def seen(self, frames, query, least_presence):
        return self.where


@pytest.mark.parametrize(
    ("votes", "seen", "expected"),
    [
        ([0.5, 0.5], (18, 27), [75.0, 75.0]),  # the middle of the clip is an empty road
        ([70.0, 80.0], (18, 27), [70.0, 80.0]),
        ([0.5, 0.5], None, [0.5, 0.5]),  # not sure what is meant
        ([95.0, 99.0], (0, 20), [75.0, 75.0]),
        ([None, None], (18, 27), [75.0, 75.0]),
        ([None, None], (10, 20), [None, None]),  # without votes the middle is taken, and the thing is there
    ],
)
def test_votes_for_a_frame_that_cannot_show_the_thing_are_replaced(votes, seen, expected):
    voter = VoteArbiter(Votes(votes), Votes([75.0, 75.0], seen))
    assert voter.positions(Shown(None, range(30)), "the red car", 2) == expected
    assert voter.intervals(Shown(None, range(30)), "the red car", 3) == [(0.0, 100.0)] * 3
