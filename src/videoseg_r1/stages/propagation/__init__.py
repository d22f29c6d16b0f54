"""Stage 3b: from masks on a few frames to masks in every frame, in both directions of time."""
