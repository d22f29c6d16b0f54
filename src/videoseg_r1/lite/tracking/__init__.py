"""Stage 3b of `lite`: the tracker that carries masks on frozen features, and its parts."""
