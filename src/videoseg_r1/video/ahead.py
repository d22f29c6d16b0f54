"""Reading ahead: frames are decoded on a thread of their own while the caller works on those before them.

Not here: what is read (`base`), and how many threads a decoder uses inside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def read_ahead(source: Generator[_Item], count: int = 2) -> Generator[_Item]:
    """Yield what a generator yields, in its order, while a thread prepares up to `count` of the next items.

    All of the source runs on that thread. What it raises reaches the caller as it is, after the items before it. However this generator
    ends, also when it is closed early, the source is closed and the thread is gone.
    """
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        ready: deque[Future[_Item]] = deque()
        try:
            ready.extend(reader.submit(next, source) for _ in range(count))
            while True:
                try:
                    item = ready.popleft().result()
                except StopIteration:
                    return
                ready.append(reader.submit(next, source))
                yield item
        finally:
            for future in ready:
                future.cancel()
            reader.submit(source.close).result()
