"""The stages of the paper: 1 `sampling`, 2 `reasoning`, 3a `segmentation`, 3b `propagation`; `protocols` says what each is given and gives.

What is here works with any model of its kind. The embedded default implements the same protocols in `videoseg_r1.lite`.
"""
