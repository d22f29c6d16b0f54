"""Seconds for all votes of the sampler on one clip: drawn together with the pictures computed once, and one call for each vote.

    python benchmarks/votes.py [--family qwen2_5_vl]

The network is small and its weights are random, the prompt is of the real size: 16 pictures of about 130 tokens and the sampler's two
questions. Replies have the length of an answer. "separate" is `generate` of transformers once per vote, "repeated" is `generate` with
`num_return_sequences`, which computes the prompt for each sequence. Prints one JSON document.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads should not burn the other core

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from helpers.tiny_vlm import MODEL_TYPES, make_checkpoint
from videoseg_r1.chat.base import Message, Sampling, labelled
from videoseg_r1.chat.local import load_chat
from videoseg_r1.prompts import INTERVAL_VOTE, POSITION_VOTE
from videoseg_r1.stages.sampling.hierarchical import SamplerConfig
from videoseg_r1.types import Frame

_SIZE = 448, 256
_MAX_TOKENS = 12


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def generated(network: Any, prompt: Any, num_replies: int) -> None:
    """What `generate` does for these replies in one call."""
    inputs = {"input_ids": prompt.ids, "mm_token_type_ids": prompt.kinds, "attention_mask": torch.ones_like(prompt.ids)}
    options = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_new_tokens": _MAX_TOKENS, "min_new_tokens": _MAX_TOKENS}
    network.generate(**inputs, **prompt.pictures, **options, num_return_sequences=num_replies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=MODEL_TYPES, default="qwen2_5_vl")
    family = parser.parse_args().family
    config = SamplerConfig()
    votes = ((INTERVAL_VOTE, config.num_intervals), (POSITION_VOTE, config.num_positions))
    pixels = np.random.default_rng(0).integers(0, 256, (config.shown_frames, _SIZE[1], _SIZE[0], 3), np.uint8)
    frames = [Frame(index, index / 4, rgb) for index, rgb in enumerate(pixels)]
    with tempfile.TemporaryDirectory() as folder:
        chat = load_chat(make_checkpoint(Path(folder), family, hidden=256, layers=4), "cpu")
        network = chat._network
        questions: list[tuple[list[Message], Any, int]] = []
        for template, num_replies in votes:
            system, user = template.render(num_frames=len(frames), query="the dog that jumps first")
            messages = [Message("system", (system,)), Message("user", (*labelled(frames, chat.family, "frame"), user))]
            questions.append((messages, chat._prompt(messages)[1], num_replies))
        sampling = Sampling(0.7, 0.9, _MAX_TOKENS)
        chat.ask(questions[0][0][:1], sampling)  # warm
        together = timed(lambda: [chat.ask(messages, sampling, num_replies) for messages, _, num_replies in questions])
        separate = timed(lambda: [generated(network, prompt, 1) for _, prompt, num_replies in questions for _ in range(num_replies)])
        repeated = timed(lambda: [generated(network, prompt, num_replies) for _, prompt, num_replies in questions])
    report = {
        "family": family,
        "prompt_tokens": questions[0][1].ids.shape[1],
        "picture_tokens": int((questions[0][1].kinds > 0).sum()) // len(frames),
        "num_votes": [num_replies for *_, num_replies in questions],
        "together_s": together,
        "separate_s": separate,
        "repeated_s": repeated,
        "ratio_to_separate": separate / together,
        "ratio_to_repeated": repeated / together,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
