"""Training of the language model of stage 2: first on examples (SFT), then on rewards (GRPO), both with TRL.

A recipe is a TOML file with every choice of a run (`recipe`); `run.train` carries it out, `launch` writes what several machines need for
it, `exam` measures the result, `release` packs it. Nothing is imported here, so that reading a recipe loads neither torch nor TRL.
Not here: rewards (`videoseg_r1.rewards`), datasets (`videoseg_r1.datasets`), segmentation, which is never trained.
"""
