"""The paper's ablation tables at small scale, with the reader of `lite`: what is compared, how it is measured, and the tables.

The command is `videoseg reproduce`. Not here: scores of a preset on a benchmark (`videoseg_r1.evaluation`).
"""
