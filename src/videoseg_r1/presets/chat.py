"""How stages 1 and 2 are put together from a chat model, and where the chat models of the presets come from.

Not here: the rows of the table (`table`), how a chat model is asked (`videoseg_r1.chat`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TypeAlias

from videoseg_r1.chat.base import Chat
from videoseg_r1.config import Extensions
from videoseg_r1.pipeline.segmenter import Stages
from videoseg_r1.prompts import FORMAT_REMINDER, INTERVAL_VOTE, INTERVAL_VOTE_SECONDS, POSITION_VOTE, REASONING, SELF_CHECK
from videoseg_r1.stages.protocols import Propagator, Segmenter
from videoseg_r1.stages.sampling.hierarchical import HierarchicalSampler, SamplerConfig

ChatMaker: TypeAlias = Callable[[str], Chat]
StagesMaker: TypeAlias = Callable[[str, Callable[[], Propagator], SamplerConfig, Extensions], Stages]


def chat_stages(make_chat: ChatMaker, make_segmenter: Callable[[str], Segmenter]) -> StagesMaker:
    """Return what makes stages 1 and 2 of a language model, which both share, and 3a of a segmenter."""

    def build(device: str, propagator: Callable[[], Propagator], sampler: SamplerConfig, extensions: Extensions) -> Stages:
        from videoseg_r1.stages.reasoning.chat_reasoner import ChatReasoner
        from videoseg_r1.stages.reasoning.self_check import ChatChecker
        from videoseg_r1.stages.sampling.chat_voter import ChatVoter

        prompts = (INTERVAL_VOTE, INTERVAL_VOTE_SECONDS, POSITION_VOTE, REASONING, FORMAT_REMINDER, SELF_CHECK)
        chat = cache(partial(make_chat, device))
        return Stages(
            sampler=lambda seed: HierarchicalSampler(ChatVoter(chat(), seed=seed, unit=sampler.unit), sampler, seed),
            reasoner=lambda seed: ChatReasoner(chat(), seed=seed, num_presence_votes=extensions.num_presence_votes),
            segmenter=partial(make_segmenter, device),
            propagator=propagator,
            checker=(lambda _seed: ChatChecker(chat())) if extensions.self_check else None,
            settings={"prompts": {one.id: one.sha256 for one in prompts}},
        )

    return build


def local_chat(model: str) -> ChatMaker:
    """Return what loads a model of the table of weights on a device."""

    def make(device: str) -> Chat:
        from videoseg_r1.chat.local import load_chat

        return load_chat(model, device)

    return make


def endpoint_chat(_device: str) -> Chat:
    """Return the model behind the address that the environment names."""
    from videoseg_r1.chat.endpoint import endpoint_from_environment

    return endpoint_from_environment()


def sam2_segmenter(device: str) -> Segmenter:
    """Return stage 3a at paper scale: SAM 2.1 Large."""
    from videoseg_r1.models.sam2 import load_engine
    from videoseg_r1.stages.segmentation.sam2 import Sam2Segmenter

    return Sam2Segmenter(load_engine("sam2.1-large", "image", device))
