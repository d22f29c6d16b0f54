"""Stage 2 on a chat model: the order of pictures, coordinates, every step of the retry ladder, and presence votes."""

from __future__ import annotations

import pytest

from helpers.scripted_chat import ScriptedChat, words
from videoseg_r1.errors import ModelError
from videoseg_r1.stages.protocols import Context, HasNotes
from videoseg_r1.stages.reasoning.chat_reasoner import ChatReasoner
from videoseg_r1.types import Box, KeyframePick
from videoseg_r1.video import open_video

SIZE = 240, 120
GOOD = '<think>it is red</think><answer>[{"bbox_2d":[84,84,420,420],"point_2d":[210,210],"neg_point_2d":[430,210]}]</answer>'
NONE = "<think>nothing red</think><answer>[]</answer>"
BAD = "<think>it is red</think><answer>[{bbox}]</answer>"
GARBLED = '<think>a box [1, 2, 3, 4] came to mind</think><answer>[{"bbox_2d":[84, 84, 420, 420] "point_2d"=[210,210]}]</answer>'


@pytest.fixture
def context(drawn_video):
    with open_video(drawn_video(num_frames=12, width=SIZE[0], height=SIZE[1]).path) as video:
        yield Context(video, KeyframePick(12, (4, 9), 7, key_frames=(4, 6, 7, 9), reference_frames=(1, 4, 10)))


def reason(context, chat, **options):
    target = context.video.read([7])[0]
    return ChatReasoner(chat, **options).reason(target, context, "the red disc")


def test_the_target_comes_last_at_full_size_and_no_frame_twice(context):
    chat = ScriptedChat(GOOD)
    reason(context, chat)
    ((messages, sampling, num_replies),) = chat.asked
    assert [message.role for message in messages] == ["system", "user"]
    text = words(messages[1])
    assert text.count("frame of the whole video") == 3
    assert text.count("frame of the key segment") == 2  # 4 is shown already, 7 is the target
    assert text.index("whole video") < text.index("key segment") < text.index("target frame, t =") < text.index("[840 x 840]")
    assert text.count("[252 x 112]") == 5
    assert "840 wide and 840 high" in text
    assert '"the red disc"' in text
    assert (sampling.temperature, num_replies) == (0, 1)


@pytest.mark.parametrize(("model_type", "grid"), [("qwen2_5_vl", 840), ("qwen3_vl", 1000)])
def test_cues_are_pixels_of_the_frame_in_every_family(context, model_type, grid):
    reply = f'<think>a b</think><answer>[{{"bbox_2d":[{grid // 10},{grid // 10},{grid // 2},{grid // 2}]}}]</answer>'
    found = reason(context, ScriptedChat(reply, model_type=model_type))
    assert found.cues[0].box == Box(24, 12, 120, 60)
    assert (found.text, found.num_tokens, found.reply, found.presence, found.failed) == ("a b", 4, reply, 1.0, False)


def test_no_target_is_an_answer(context):
    chat = ScriptedChat(NONE)
    found = reason(context, chat)
    assert (found.cues, found.presence, found.failed, found.notes) == ((), 0.0, False, ())
    assert len(chat.asked) == 1


def test_a_reply_that_cannot_be_read_is_answered_with_a_reminder(context):
    chat = ScriptedChat(BAD, GOOD)
    found = reason(context, chat)
    assert found.cues[0].box == Box(24, 12, 120, 60)
    assert not found.failed
    assert found.notes[0].startswith("the reply could not be read: bad_json")
    again, sampling, _ = chat.asked[1]
    assert [message.role for message in again] == ["system", "user", "assistant", "user"]
    assert words(again[2]) == BAD
    assert "bad_json" in words(again[3])
    assert "<answer>" in words(again[3])
    assert sampling.temperature == 0


def test_then_two_replies_are_sampled_and_the_first_good_one_counts(context):
    chat = ScriptedChat(BAD, "", "nonsense", GOOD)
    found = reason(context, chat, seed=5)
    assert found.cues
    assert [note.partition(" could")[0] for note in found.notes] == ["the reply", "the reply to a reminder", "sampled reply 1"]
    messages, sampling, num_replies = chat.asked[2]
    assert len(messages) == 2
    assert (sampling.temperature, sampling.seed, num_replies) == (0.7, 5, 2)


def test_then_boxes_alone_are_taken(context):
    chat = ScriptedChat(BAD, GARBLED, BAD, BAD)
    found = reason(context, chat)
    assert [cue.box for cue in found.cues] == [Box(24, 12, 120, 60)]  # not the one in the thought
    assert found.cues[0].points == ()
    assert found.text == "a box [1, 2, 3, 4] came to mind"
    assert found.reply == GARBLED
    assert not found.failed
    assert "nothing but boxes could be read" in found.notes


def test_then_it_failed_which_is_not_no_target(context):
    chat = ScriptedChat(BAD, BAD, "", "<think>[84,84,420,420] and on and on...")
    found = reason(context, chat)
    assert found.failed
    assert (found.cues, found.text, found.presence, found.reply) == ((), "", 0.0, BAD)
    assert len(found.notes) == 4
    assert len(chat.asked) == 3


def test_a_reply_that_was_cut_off_is_noted(context):
    found = reason(context, ScriptedChat('<think>a</think><answer>[{"bbox_2d":[84,84,420,420]},{"bbox_...'))
    assert len(found.cues) == 1
    assert "the reply was cut off at its greatest length" in found.notes


@pytest.mark.parametrize(
    ("votes", "presence", "keeps"),
    [
        ((GOOD, GOOD, GOOD), 4 / 5, True),
        ((GOOD, NONE, NONE), 2 / 5, False),
        ((NONE, NONE, NONE), 1 / 5, False),
        ((GOOD, NONE, BAD), 2 / 4, True),
        ((BAD, BAD, BAD), 1 / 2, True),
    ],
)
def test_votes_calibrate_presence_and_may_take_the_answer_back(context, votes, presence, keeps):
    chat = ScriptedChat(GOOD, *votes)
    found = reason(context, chat, seed=5, num_presence_votes=3)
    assert found.presence == pytest.approx(presence)
    assert bool(found.cues) == keeps
    assert not found.failed
    assert f"a target was found by {votes.count(GOOD)} of {3 - votes.count(BAD)} votes" in found.notes
    assert ("no target, by the votes, although the answer has one" in found.notes) == (not keeps)
    _, sampling, num_replies = chat.asked[1]
    assert (sampling.temperature, sampling.seed, num_replies) == (0.7, 6, 3)


@pytest.mark.parametrize(
    ("votes", "presence", "finds"),
    [
        ((GOOD, GOOD, NONE), 3 / 5, True),
        ((GOOD, NONE, NONE), 2 / 5, False),
        ((BAD, GOOD, NONE), 2 / 4, True),
        ((BAD, BAD, BAD), 1 / 2, False),
    ],
)
def test_votes_may_find_what_the_answer_has_not(context, votes, presence, finds):
    found = reason(context, ScriptedChat(NONE, *votes), num_presence_votes=3)
    assert found.presence == pytest.approx(presence)
    assert bool(found.cues) == finds
    assert ("a target, by the votes, although the answer has none" in found.notes) == finds
    assert found.reply == (GOOD if finds else NONE)


def test_of_the_votes_that_find_something_the_most_frequent_counts(context):
    other = GOOD.replace("84,84", "90,90")
    assert other != GOOD
    found = reason(context, ScriptedChat(NONE, GOOD, other, NONE, other), num_presence_votes=4)
    assert found.reply == other


def test_votes_are_not_asked_for_when_nothing_could_be_read(context):
    chat = ScriptedChat(BAD, BAD, BAD, BAD)
    assert reason(context, chat, num_presence_votes=3).failed
    assert len(chat.asked) == 3


def test_what_the_model_gave_up_is_noted_and_its_errors_come_through(context):
    class Broken(ScriptedChat):
        def ask(self, messages, sampling, num_replies=1):
            raise ModelError("the model failed")

    chat = Broken()
    reasoner = ChatReasoner(chat)
    assert isinstance(reasoner, HasNotes)
    assert reasoner.notes == chat.notes
    with pytest.raises(ModelError):
        reason(context, chat)
