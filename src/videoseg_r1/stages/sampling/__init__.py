"""Stage 1: from a video and a sentence to a key segment and a target frame."""
