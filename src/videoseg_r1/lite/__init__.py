"""The embedded default: runs offline on a CPU, on frozen pretrained perception from PyPI packages.

It implements the protocols of `videoseg_r1.stages` and nothing else. Not here: anything that needs a GPU or a download.
"""
