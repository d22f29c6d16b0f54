"""What `lite` understands without a trained model: words, the scene as text (`transcript`), and the `matcher` that compares both."""
