"""Stage 3b of `lite`: the tracker that carries masks on frozen features, and its parts.

The tracker (`tracker`) adds up three sources of evidence: a read of the stored frames (`window`), an appearance model (`appearance`) and
a saliency prior (`saliency_prior`), all on a crop around the objects (`crop`). `propagator` runs it in both directions of time.
"""
