"""The rows of the memory: one per stored position, with its key, the values of every object, and how much it was used.

Every row keeps its own key beside the values and records for each object whether it has a value, so rows never move when an object
comes late or leaves. Storage is allocated ahead and grows by half when it is full; nothing is copied per frame.
Not here: which rows are kept (`memory`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from videoseg_r1.errors import InvalidDocument
from videoseg_r1.xmem.read import top_k
from videoseg_r1.xmem.saved import taken

PROTOTYPE = -1
"""Frame number of rows of the long-term memory."""
_SCRATCH_FLOATS = 1 << 24


@dataclass(slots=True)
class ObjectRows:
    """Values (capacity, C) of one object, and for which rows it has one."""

    values: torch.Tensor
    valid: torch.Tensor


class MemoryBank:
    """Rows of stored positions.

    Args:
        device: where they live.
        dtype: precision of the values; keys are float32.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._keys = torch.empty(0, 0, device=device)
        self._frames = torch.empty(0, dtype=torch.int64, device=device)
        self._uses = torch.empty(0, device=device)
        self._lives = torch.empty(0, device=device)
        self.objects: list[ObjectRows] = []
        self.size = 0

    @property
    def keys(self) -> torch.Tensor:
        """Rows (size, 2 C + 1) as `read.stored_rows` makes them."""
        return self._keys[: self.size]

    @property
    def frames(self) -> torch.Tensor:
        """Frame number of each row, `PROTOTYPE` for the long-term memory, int64 (size,)."""
        return self._frames[: self.size]

    @property
    def usage(self) -> torch.Tensor:
        """How much each row was read, per read since it came, (size,)."""
        return self._uses[: self.size] / self._lives[: self.size].clamp_min(1)

    def values(self, index: int) -> torch.Tensor:
        """Values (size, C) of an object; rows without one are zero."""
        return self.objects[index].values[: self.size]

    def valid(self, index: int) -> torch.Tensor:
        """Whether each row has a value for the object, bool (size,)."""
        return self.objects[index].valid[: self.size]

    def append(self, keys: torch.Tensor, frame: int, values: list[torch.Tensor], valid: list[torch.Tensor] | None = None) -> None:
        """Add rows.

        Args:
            keys: (P, 2 C + 1).
            frame: number of the frame they are of, or `PROTOTYPE`.
            values: (P, C) for every object; objects that are new get zeros in all earlier rows.
            valid: bool (P,) for every object; everywhere by default.
        """
        start, stop = self.size, self.size + len(keys)
        if not len(self._keys):
            self._keys = keys.new_empty(0, keys.shape[1])
        self.reserve(stop)
        while len(self.objects) < len(values):
            capacity = len(self._keys)
            empty = torch.zeros(capacity, values[0].shape[1], dtype=self._dtype, device=self._device)
            self.objects.append(ObjectRows(empty, torch.zeros(capacity, dtype=torch.bool, device=self._device)))
        self._keys[start:stop] = keys
        self._frames[start:stop] = frame
        self._uses[start:stop] = 0
        self._lives[start:stop] = 0
        for index, (rows, value) in enumerate(zip(self.objects, values, strict=True)):
            rows.values[start:stop] = value
            rows.valid[start:stop] = True if valid is None else valid[index]
        self.size = stop

    def keep(self, wanted: torch.Tensor) -> None:
        """Drop every row that is not wanted, bool (size,). Order stays."""
        rows = wanted.nonzero()[:, 0]
        for buffer in self._buffers():
            buffer[: len(rows)] = buffer[rows]
        self.size = len(rows)

    def remove_object(self, index: int) -> None:
        """Forget an object, and the rows that no other object has a value for."""
        del self.objects[index]
        claimed = torch.zeros(self.size, dtype=torch.bool, device=self._device)
        for other in range(len(self.objects)):
            claimed |= self.valid(other)
        self.keep(claimed)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the rows as plain tensors by name."""
        own = {"keys": self._keys, "frames": self._frames, "uses": self._uses, "lives": self._lives}
        for index, rows in enumerate(self.objects):
            own |= {f"values.{index}": rows.values, f"valid.{index}": rows.valid}
        return {name: buffer[: self.size].clone() for name, buffer in own.items()}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Hold the rows of `state`. Raises: InvalidDocument: something is missing, or lengths differ."""
        keys, self._frames, self._uses, self._lives = (self._placed(taken(state, name)) for name in ("keys", "frames", "uses", "lives"))
        self._keys, self.size = keys, len(keys)
        count = sum(name.startswith("values.") for name in state)
        self.objects = [
            ObjectRows(self._placed(taken(state, f"values.{index}")).to(self._dtype), self._placed(taken(state, f"valid.{index}")))
            for index in range(count)
        ]
        lengths = {len(buffer) for buffer in self._buffers()}
        if lengths != {self.size}:
            raise InvalidDocument("this is not a saved XMem state", where="memory", why=f"rows differ in number: {sorted(lengths)}")

    def _placed(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self._device).clone()

    def read(self, queries: torch.Tensor, k: int, *, count_usage: bool) -> torch.Tensor:
        """Return the mixture of values for each query and object, (N, Q, C).

        Objects with a value in the same rows share the choice of rows. Those rows are nested (an object has a value in all rows since
        it came), so they are taken from the most to the least, and usage is counted where all rows take part.

        Args:
            queries: (Q, 2 C + 1) as `read.query_rows` makes them.
            k: how many rows are mixed; fewer where fewer are stored.
            count_usage: whether the usage of the rows is counted.
        """
        width = self.objects[0].values.shape[1]
        readout = torch.empty(len(self.objects), len(queries), width, dtype=self._dtype, device=self._device)
        groups = self._groups()
        chunk = max(16, min(len(queries), _SCRATCH_FLOATS // self.size))
        scratch = torch.empty(chunk, self.size, device=self._device)
        for start in range(0, len(queries), chunk):
            part = slice(start, min(start + chunk, len(queries)))
            scores = torch.mm(queries[part], self.keys.T, out=scratch[: part.stop - part.start])
            for position, (count, members) in enumerate(groups):
                if count < self.size:
                    scores.masked_fill_(~self.valid(members[0]), -torch.inf)
                best, rows = top_k(scores, min(k, count))
                weights = torch.softmax(best, 1)  # subtracts the maximum
                for index in members:
                    readout[index, part] = _mix(self.values(index), rows, weights)
                if count_usage and position == 0:
                    self._uses[: self.size].index_add_(0, rows.flatten(), weights.flatten())
        if count_usage:
            self._lives[: self.size] += 1
        return readout

    def _groups(self) -> list[tuple[int, list[int]]]:
        """Return (number of rows, objects), objects with values in the same rows together, most rows first."""
        groups: dict[int, list[int]] = {}
        for index in range(len(self.objects)):
            groups.setdefault(int(self.valid(index).sum()), []).append(index)
        return sorted(groups.items(), reverse=True)

    def reserve(self, size: int) -> None:
        """Make room for so many rows."""
        capacity = len(self._keys)
        if size <= capacity:
            return
        more = max(size, capacity * 3 // 2) - capacity
        self._keys, self._frames = _grown(self._keys, more), _grown(self._frames, more)
        self._uses, self._lives = _grown(self._uses, more), _grown(self._lives, more)
        for rows in self.objects:
            rows.values, rows.valid = _grown(rows.values, more), _grown(rows.valid, more)

    def _buffers(self) -> list[torch.Tensor]:
        own = [buffer for rows in self.objects for buffer in (rows.values, rows.valid)]
        return [self._keys, self._frames, self._uses, self._lives, *own]


def _grown(buffer: torch.Tensor, more: int) -> torch.Tensor:
    return torch.cat([buffer, buffer.new_zeros(more, *buffer.shape[1:])])


def _mix(values: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of k rows of `values` for each query: only those rows are touched."""
    return F.embedding_bag(rows, values, per_sample_weights=weights.to(values.dtype), mode="sum")
