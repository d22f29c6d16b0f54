"""Stage 2: from the target frame and its context to the reasoning text and the cues."""
