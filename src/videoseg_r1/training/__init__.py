"""Teaching the language model of stage 2: examples first (SFT), then rewards (GRPO), both on TRL; one recipe says all of it.

A recipe is a TOML file (`recipe`); `run.train` carries it out, `launch` writes what several machines need for it. Nothing is imported
here, so that reading a recipe loads neither torch nor TRL. Not here: rewards, data sets, segmentation, which is never trained.
"""
