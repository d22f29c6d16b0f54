"""What `lite` sees: regions of single frames with names and colours, and the same thing followed from frame to frame."""
