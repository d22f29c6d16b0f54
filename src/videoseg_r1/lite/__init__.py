"""The embedded default: it runs offline, on frozen pretrained perception and a small trained language model, and a CPU is enough.

It implements the protocols of `videoseg_r1.stages` and nothing else. All parts compute on the device that they are given; so far they were
run on a CPU only. Not here: how the parts are put together (`videoseg_r1.presets.lite`), anything that needs a download.
"""
