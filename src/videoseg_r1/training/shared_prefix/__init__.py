"""Sequences that share a prefix compute it once: in SFT (`sft`), in rollouts (`rollouts`, `states`), and in scoring (`branches`)."""
