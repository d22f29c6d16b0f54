"""Stage 3b of `lite`: the tracker that carries masks on frozen features, and its parts.

The tracker (`tracker`) describes each frame once (`features`, `palette`), on a crop around the objects (`crop`). It adds up three
sources of evidence: a read of the stored frames (`window`), an appearance model (`appearance`) and where each object can be
(`nearness`). `identity` finds objects that were mistaken for each other. `propagator` runs the tracker in both directions of time.
"""
