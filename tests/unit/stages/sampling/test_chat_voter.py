"""Votes of a chat model: what is asked, how replies are read, and a whole pick with a tiny model."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.scripted_chat import ScriptedChat, words
from helpers.tiny_vlm import make_checkpoint
from videoseg_r1.chat.local import load_chat
from videoseg_r1.stages.protocols import Shown
from videoseg_r1.stages.sampling.chat_voter import ChatVoter
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler, SamplerConfig
from videoseg_r1.video import open_video


@pytest.fixture
def shown(drawn_video):
    with open_video(drawn_video(num_frames=20, width=96, height=64).path) as video:
        yield Shown(video, (0, 5, 10, 19))


def test_intervals_are_read_and_unusable_replies_keep_their_place(shown):
    chat = ScriptedChat("<answer>[20, 60]</answer>", "no idea", "<answer>[90, 10]</answer>")
    assert ChatVoter(chat, seed=4).intervals(shown, "the ball", 3) == [(20.0, 60.0), None, (90.0, 10.0)]
    messages, sampling, num_replies = chat.asked[0]
    assert (sampling.temperature, sampling.top_p, sampling.seed, num_replies) == (0.7, 0.9, 4, 3)
    assert [message.role for message in messages] == ["system", "user"]


def test_positions_are_read(shown):
    chat = ScriptedChat("<answer>40</answer>", "<answer>[1, 2]</answer>")
    assert ChatVoter(chat).positions(shown, "the ball", 2) == [40.0, None]


def test_labelled_pictures_come_before_the_question_and_are_the_same_for_both(shown):
    chat = ScriptedChat("<answer>[0, 1]</answer>", "<answer>1</answer>")
    voter = ChatVoter(chat)
    voter.intervals(shown, "the ball", 1)
    voter.positions(shown, "the ball", 1)
    first, second = (asked[0][1] for asked in chat.asked)
    assert words(first).startswith(
        f"frame 1 of 4, t = {shown[0].pts_s:.1f} s: [84 x 56] frame 2 of 4, t = {shown[1].pts_s:.1f} s: [84 x 56]"
    )
    assert '"the ball"' in first.parts[-1]
    assert first.parts[-1] != second.parts[-1]
    assert len(first.parts) == len(second.parts) == 2 * 4 + 1
    assert all(np.array_equal(a, b) for a, b in zip(first.parts[:-1], second.parts[:-1], strict=True))


def test_seconds_become_percent_of_the_frames_shown(shown):
    start, end = shown[0].pts_s, shown[-1].pts_s
    middle = start + (end - start) / 2
    chat = ScriptedChat(
        f"<answer>[{middle:.4f}, {end:.4f}]</answer>", "?", f"<answer>[{start}, {start + 0.004 * (end - start):.5f}]</answer>"
    )
    votes = ChatVoter(chat, unit="seconds").intervals(shown, "the ball", 3)
    assert votes == [(50.0, 100.0), None, (0.0, 0.0)]  # whole numbers: the sampler takes 0.4 for a fraction
    question = chat.asked[0][0][1].parts[-1]
    assert f"runs from {start:.1f} s to {end:.1f} s" in question
    assert "in seconds" in question


def test_without_time_between_the_frames_seconds_are_not_asked_for(shown):
    chat = ScriptedChat("<answer>[20, 60]</answer>")
    assert ChatVoter(chat, unit="seconds").intervals(Shown(shown.video, (3,)), "the ball", 1) == [(20.0, 60.0)]
    assert "percentages" in chat.asked[0][0][1].parts[-1]


def test_a_pick_follows_the_votes(shown):
    chat = ScriptedChat(*["<answer>[50, 75]</answer>"] * 5, *["<answer>50</answer>"] * 10)
    pick = HierarchicalSampler(ChatVoter(chat)).pick(shown.video, "the ball")
    assert pick.segment == (9, 15)
    assert pick.target_frame == 12
    assert pick.converged


def test_a_tiny_model_picks_the_same_frame_twice(shown, tmp_path):
    chat = load_chat(make_checkpoint(tmp_path / "tiny", "qwen3_vl"), "cpu")
    config = SamplerConfig(num_intervals=2, num_positions=2, shown_frames=4, max_rounds=1)
    picks = [HierarchicalSampler(ChatVoter(chat, seed=1), config, 1).pick(shown.video, "the ball") for _ in range(2)]
    assert picks[0] == picks[1]
    assert picks[0].segment[0] <= picks[0].target_frame <= picks[0].segment[1]
    assert (len(picks[0].rounds[0].votes), len(picks[0].positions)) == (2, 2)
