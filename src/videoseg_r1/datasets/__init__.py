"""Datasets: one description of a clip (`clip`), a loader per dataset, the table of them (`registry`), and two thin views of a clip.

`sample` is what evaluation scores, `training` what training examples are drawn from, `controls` makes two harder versions of samples.
Loaders check names, counts and sizes before anything is computed, and list every problem in one error. Nothing is imported here, so
that `registry` can be read without loading numpy. Not here: scores (`evaluation`), prompts (`training`), the drawn world.
"""
