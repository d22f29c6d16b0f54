"""The second opinion: it needs to be sure to be heard, and both must find nothing before nothing is answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoseg_r1.lite.language.matcher import Choice
from videoseg_r1.lite.language.words import understand
from videoseg_r1.lite.reader.arbiter import SecondOpinion
from videoseg_r1.types import Box, Cue, Reasoning

_CUE, _ELSEWHERE = Cue(Box(1, 2, 30, 40)), Cue(Box(60, 2, 90, 40))


class Fixed:
    def __init__(self, text, *cues, failed=False, presence=None, share=1.0, query="the dog"):
        presence = float(bool(cues)) if presence is None else presence
        answer = Reasoning(text, cues, num_tokens=len(text.split()), presence=presence, failed=failed)
        self.answer, self.choice = answer, Choice(answer, share, understand(query))

    def reason(self, target, context, query):
        return self.answer

    def choose(self, target, context, query):
        return self.choice

    def follow(self, meant, context):
        return {7: replace(self.answer, text=f"after {meant.text}")}


def test_who_found_something_is_believed():
    first = Fixed("So 1.", _CUE)
    for second in (
        Fixed("Nothing.", query="the duckling"),
        Fixed("The same.", Cue(Box(1, 2, 29, 40))),
        Fixed("Rather that.", _ELSEWHERE, share=0.6),
        Fixed("That, if it is there.", _ELSEWHERE, presence=0.6),
    ):
        assert SecondOpinion(first, second).reason(None, None, "the dog") is first.answer


def test_one_thing_does_not_outweigh_several_that_are_asked_for():
    first = Fixed("So 1, 2.", _CUE, _ELSEWHERE)
    assert SecondOpinion(first, Fixed("That.", _CUE, query="both dogs")).reason(None, None, "both dogs") is first.answer


@pytest.mark.parametrize("cues", [(_CUE,), (_CUE, _ELSEWHERE)])
def test_a_second_one_that_is_sure_which_is_meant_outweighs_another_answer(cues):
    found = SecondOpinion(Fixed("So 1.", *cues), Fixed("Surely that.", _ELSEWHERE, share=0.8)).reason(None, None, "the dog")
    assert found.cues == (_ELSEWHERE,)
    assert "So 1." in found.text
    assert "Surely that." in found.text
    assert any("means other things" in note for note in found.notes)


def test_a_second_one_that_knows_the_word_and_sees_nothing_like_it_outweighs_an_answer():
    found = SecondOpinion(Fixed("So 1.", _CUE), Fixed("None looks like it.", query="the rabbit")).reason(None, None, "the rabbit")
    assert found.cues == ()
    assert found.presence == 0
    assert "None looks like it." in found.text
    assert any("nothing looks like it" in note for note in found.notes)


@pytest.mark.parametrize("failed", [False, True])
def test_where_the_first_finds_nothing_the_second_is_asked_and_the_answer_says_so(failed):
    found = SecondOpinion(Fixed("So none.", failed=failed), Fixed("It looks like one.", _CUE)).reason(None, None, "the dog")
    assert found.cues == (_CUE,)
    assert not found.failed
    assert "So none." in found.text
    assert "It looks like one." in found.text
    assert found.num_tokens == 6
    assert any("matcher" in note for note in found.notes)


def test_a_second_one_that_is_not_sure_counts_only_where_the_first_could_not_be_understood():
    unsure = Fixed("It looks like one.", _CUE, presence=0.6)
    assert SecondOpinion(Fixed("So none."), unsure).reason(None, None, "the dog").cues == ()
    assert SecondOpinion(Fixed("", failed=True), unsure).reason(None, None, "the dog").cues == (_CUE,)
    assert SecondOpinion(Fixed("So none."), Fixed("One.", _CUE, presence=0.75)).reason(None, None, "the dog").cues == (_CUE,)


def test_nothing_is_answered_where_both_find_nothing():
    found = SecondOpinion(Fixed("So none."), Fixed("None looks like it.")).reason(None, None, "the dog")
    assert found.cues == ()
    assert found.presence == 0


def test_the_second_knows_where_what_either_meant_is_seen_best():
    first = Fixed("So 1.", _CUE)
    assert SecondOpinion(first, Fixed("One.", _CUE)).follow(first.answer, None)[7].text == "after So 1."
