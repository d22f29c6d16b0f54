"""Chat models behind one contract (`base`): on this machine (`local`) or behind an address (`endpoint`), of any family (`families`).

Nothing is imported here, so that asking for one back end does not load the other.
"""
