"""What `lite` sees in a video: the regions of single frames, the things that they belong to, and what is known of each open video.

From the bottom up: the frozen networks (`backbone`, `saliency`, `nanodet`), the things with everyday names in one frame (`detector`,
`detected_names`), the regions of one frame (`regions`), the same thing followed from frame to frame (`tracks`), what is remembered per
video (`perceived_video`), and the frames in which a thing is seen best (`seed_frames`).
"""
