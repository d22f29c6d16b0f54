"""Stage 3a: from cues to masks on one frame."""
