"""Texts that begin alike are computed once for their common prefix: in SFT, in rollouts, and where completions are scored."""
