"""The trained reader of `lite`: SmolLM2 with the weights delta of this project, asked about the transcript of a scene."""
