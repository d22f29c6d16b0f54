"""Print where a reader first departs from the target replies, given token by token: quicker than an exam, and it says what to train.

python tools/first_mistakes.py FOLDER [NUM_SCENES] [SPLIT]

FOLDER holds weights, such as run/sft/checkpoint-50, or is a source of recipes (smollm2, reader). Each scene is asked all kinds of
question. A reply counts where every token would have been the likeliest: greedy decoding would have written it. At which length to think
is no mistake, since the length of the target is drawn at random.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from itertools import takewhile

import torch

from videoseg_r1.lite.reader.base import reasoning_prompt
from videoseg_r1.lite.reader.text_chat import turns
from videoseg_r1.prompts.schema import THINK, THINK_END
from videoseg_r1.training.network import Learner, load_learner
from videoseg_r1.training.recipe import load_recipe
from videoseg_r1.training.shared_prefix.branches import ask, branch
from videoseg_r1.training.world import KINDS_OF_QUERY, WorldSample, draw_group
from videoseg_r1.training.world.evidence import wanted


@dataclass(frozen=True)
class Mistake:
    """What was read before, and the token that came instead of the right one."""

    part: str
    before: str
    right: str
    found: str


def part_of(before: str) -> str:
    """Return which part of a reply comes after this much of it."""
    thought = before.removeprefix("<think>")
    if THINK_END in before:
        return "answer"
    if " So " in thought:
        return "choice"
    if "?" in thought:
        return "closer look"
    if "." not in thought:
        return "wanted"
    return "verdict" if thought.rstrip().endswith(":") else "line"


@torch.no_grad()
def first_mistakes(learner: Learner, group: list[WorldSample]) -> list[Mistake | None]:
    """Return the first mistake in the reply to each question about a scene, None where there is none."""
    tokenizer = learner.tokenizer
    chats = [turns(reasoning_prompt(one.transcript, one.query.text)) for one in group]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"] for chat in chats]
    replies = [[*tokenizer(one.reply(), add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for one in group]
    shared = sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False)))
    asked = branch(
        prompts[0][:shared],
        [prompt[shared:] + reply for prompt, reply in zip(prompts, replies, strict=True)],
        [len(reply) for reply in replies],
    )
    found: list[Mistake | None] = []
    expected = ask(learner.network, asked).argmax(-1).split(list(asked.lengths))
    for sample, reply, likeliest in zip(group, replies, expected, strict=True):
        manner = len(tokenizer(f"{THINK}{wanted(sample.query)}", add_special_tokens=False)["input_ids"])
        pairs = enumerate(zip(reply, likeliest.tolist(), strict=True))
        wrong = next((at for at, (a, b) in pairs if a != b and at != manner), None)
        if wrong is None:
            found.append(None)
            continue
        before = tokenizer.decode(reply[:wrong])
        right, other = tokenizer.decode(reply[wrong : wrong + 3]), tokenizer.decode([int(likeliest[wrong])])
        found.append(Mistake(part_of(before + (right if right.startswith(" So") else "")), before, right, other))
    return found


def main() -> None:
    learner = load_learner(load_recipe("lite", [f"model.source={sys.argv[1]}"]))
    learner.network.eval()
    right, asked, parts = Counter(), Counter(), Counter()
    for seed in range(int(sys.argv[2]) if len(sys.argv) > 2 else 8):
        group = draw_group(seed, sys.argv[3] if len(sys.argv) > 3 else "val", size=len(KINDS_OF_QUERY))
        for sample, mistake in zip(group, first_mistakes(learner, group), strict=True):
            asked[sample.query.kind] += 1
            right[sample.query.kind] += mistake is None
            if mistake:
                parts[mistake.part] += 1
                print(f"{mistake.part}: {sample.query.text} | ...{mistake.before[-90:]}[{mistake.right}] not [{mistake.found}]")
    print(", ".join(f"{kind} {right[kind]} of {num}" for kind, num in sorted(asked.items())))
    print(f"{right.total()} of {asked.total()} replies without a mistake; first mistakes: {dict(parts)}")


if __name__ == "__main__":
    main()
