"""Rewards for reinforcement learning: they score a completion against the truth and return the number with all its parts.

The terms are VisionReasoner's and VideoSeg-R1's, measured in the canonical 840 x 840 frame; docs/rewards.md lists each with its
formula, its switch and its source. Pure functions, no torch, no trainer: `score` serves any engine, `trl_reward` and
`compute_score` are thin adapters to two of them.

Not here: how hard a sample is (`Truth.budget` is a plain number), which frames make a sample, advantages and losses.
"""

from videoseg_r1.rewards.adapters import check_rewards, compute_score, score_batch, trl_reward
from videoseg_r1.rewards.config import DEFAULT, VISION_REASONER, RewardConfig, Terms
from videoseg_r1.rewards.form import think_span
from videoseg_r1.rewards.scoring import RewardBreakdown, score
from videoseg_r1.rewards.temporal import keyframe_quality, temporal_iou
from videoseg_r1.rewards.truth import Truth, truth_of

__all__ = [
    "DEFAULT",
    "VISION_REASONER",
    "RewardBreakdown",
    "RewardConfig",
    "Terms",
    "Truth",
    "check_rewards",
    "compute_score",
    "keyframe_quality",
    "score",
    "score_batch",
    "temporal_iou",
    "think_span",
    "trl_reward",
    "truth_of",
]
