"""The language side of `lite` that needs no trained model.

Queries are parsed (`words`, with `vocabulary` and `sentences`), a scene is written as text (`transcript`), things are scored (`scoring`),
a voter and a reasoner answer (`matcher`), and the frames for seed masks are found (`best_frames`).
"""
