"""Networks that are loaded once for each set of arguments, also when several threads ask for one at the same time.

Not here: what is loaded (`pretrained`, `videoseg_r1.lite`), which device it goes to (`devices`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from threading import RLock
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Loaded = TypeVar("Loaded")


def loaded_once(load: Callable[Arguments, Loaded]) -> Callable[Arguments, Loaded]:
    """Return a loader that calls `load` once per arguments, which must be hashable, and returns the same object from then on.

    One thread loads while the others wait for it; `functools.cache` alone would let each of them load a copy. An error is raised to the
    caller and not kept, so the next call tries again.
    """
    kept: Callable[..., Any] = cache(load)
    lock = RLock()

    @wraps(load)
    def loaded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Loaded:
        with lock:
            return kept(*args, **kwargs)

    return loaded
