"""The second opinion: asked only where the first finds nothing, and both must find nothing before nothing is answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoseg_r1.lite.opinion import SecondOpinion
from videoseg_r1.types import Box, Cue, Reasoning

_CUE = Cue(Box(1, 2, 3, 4))


class Fixed:
    def __init__(self, text, *cues, failed=False, presence=None):
        presence = float(bool(cues)) if presence is None else presence
        self.answer = Reasoning(text, cues, num_tokens=len(text.split()), presence=presence, failed=failed)
        self.asked = 0

    def reason(self, target, context, query):
        self.asked += 1
        return self.answer

    def follow(self, meant, context):
        return {7: replace(self.answer, text=f"after {meant.text}")}


def test_who_found_something_is_believed():
    first, second = Fixed("So 1.", _CUE), Fixed("Nothing.")
    assert SecondOpinion(first, second).reason(None, None, "the dog") is first.answer
    assert second.asked == 0


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
