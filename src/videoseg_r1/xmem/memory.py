"""Working and long-term memory of XMem: which frames are kept, which are condensed into prototypes, and which prototypes are dropped.

Departs from the original code in three points (docs/algorithm.md, "XMem"): every row keeps its own key whenever its object came, no more
prototypes are dropped than must be, the least used first, and frames that came with masks are never condensed. Not here: the sensory
memory (`core`).

Source: Cheng and Schwing 2022 (XMem), sections 3.4 to 3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch

from videoseg_r1.xmem.bank import PROTOTYPE, MemoryBank
from videoseg_r1.xmem.config import XMemConfig
from videoseg_r1.xmem.network import Keys
from videoseg_r1.xmem.read import query_rows, stored_rows
from videoseg_r1.xmem.saved import taken
from videoseg_r1.xmem.store import MemoryStore


@dataclass(slots=True, eq=False)
class StoredFrame:
    """A frame of the working memory; its rows in the bank carry its number. `keys` are kept where they will be condensed."""

    number: int
    keys: Keys | None


@dataclass(frozen=True, slots=True)
class Prototypes:
    """What candidates are condensed into: keys (P, 64), shrinkage (P,), and per object values (P, C) and validity bool (P,)."""

    key: torch.Tensor
    shrinkage: torch.Tensor
    values: list[torch.Tensor]
    valid: list[torch.Tensor]


class Memory:
    """Working and long-term memory of all objects.

    Args:
        config: settings.
        device: where it lives.
        dtype: precision of the values.
    """

    def __init__(self, config: XMemConfig, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self._config = config
        self.bank = MemoryBank(device, dtype)
        max_recent = config.max_mid_term_frames if config.enable_long_term else config.max_stored_frames
        self.frames: MemoryStore[StoredFrame] = MemoryStore(max_recent, config.max_given_frames)

    @property
    def num_long_term(self) -> int:
        """Prototypes that are stored."""
        return int((self.bank.frames == PROTOTYPE).sum())

    @property
    def num_working(self) -> int:
        """Positions of whole frames that are stored."""
        return self.bank.size - self.num_long_term

    def read(self, keys: Keys) -> torch.Tensor:
        """Return what is remembered at each position of a frame, (N, P, C)."""
        return self.bank.read(query_rows(keys), self._config.top_k, count_usage=self._config.enable_long_term)

    def add(self, number: int, keys: Keys, values: torch.Tensor, *, given: bool) -> None:
        """Remember a frame.

        Args:
            number: of the frame, larger than any before.
            keys: of its positions.
            values: (N, P, C) of every object, new ones last.
            given: whether its masks were given; such a frame stays as it is.
        """
        self.bank.append(stored_rows(keys), number, list(values))
        frame = StoredFrame(number, keys if self._config.enable_long_term and not given else None)
        left = self.frames.add(frame, anchor=given)
        if left is not None:
            self.bank.keep(self.bank.frames != left.number)
        # the first frame counts among those of the settings, further given ones do not
        num_counted = len(self.frames.recent) + 1
        if self._config.enable_long_term and num_counted >= self._config.max_mid_term_frames:
            self._condense(self.frames.take_oldest(num_counted - self._config.min_mid_term_frames))

    def remove_object(self, index: int) -> None:
        """Forget an object and everything that was kept for it alone."""
        self.bank.remove_object(index)
        present = set(self.bank.frames.unique().tolist())
        for frame in list(self.frames):
            if frame.number not in present:
                self.frames.remove(frame)

    def state(self) -> dict[str, torch.Tensor]:
        """Return what is remembered as plain tensors by name."""
        state = self.bank.state()
        state["anchors"] = torch.tensor([frame.number for frame in self.frames.anchors], dtype=torch.int64)
        state["recent"] = torch.tensor([frame.number for frame in self.frames.recent], dtype=torch.int64)
        for frame in self.frames:
            if frame.keys is not None:
                for field in fields(Keys):
                    state[f"frame.{frame.number}.{field.name}"] = getattr(frame.keys, field.name).clone(
                        memory_format=torch.contiguous_format
                    )
        return state

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Remember what `state` holds, into an empty memory. Raises: InvalidDocument: it is not such a state."""
        self.bank.load_state(state)
        for name in ("anchors", "recent"):
            for number in taken(state, name).tolist():
                keys = None
                if name == "recent" and self._config.enable_long_term:
                    keys = Keys(*(taken(state, f"frame.{number}.{field.name}").to(self.bank.keys.device) for field in fields(Keys)))
                self.frames.add(StoredFrame(number, keys), anchor=name == "anchors")

    def _condense(self, leaving: list[StoredFrame]) -> None:
        """Replace frames by prototypes of them; the least used older prototypes make room."""
        keys = _concatenated([frame.keys for frame in leaving if frame.keys is not None])
        # rows of a frame are in order of their positions, frames in order of time
        rows = torch.isin(self.bank.frames, torch.tensor([frame.number for frame in leaving], device=self.bank.frames.device))
        chosen = select_prototypes(self.bank.usage[rows], self._config.num_prototypes)
        every = range(len(self.bank.objects))
        prototypes = condense(keys, chosen, [self.bank.values(i)[rows] for i in every], [self.bank.valid(i)[rows] for i in every])
        evicted = self._least_used(self._config.max_long_term_elements - len(chosen))
        # room for all prototypes there will ever be, so that memory does not creep up over thousands of frames
        self.bank.reserve(self.num_working + self._config.max_long_term_elements)
        self.bank.keep(~(rows | evicted))
        new = Keys(prototypes.key, prototypes.shrinkage, torch.empty(0))
        self.bank.append(stored_rows(new), PROTOTYPE, prototypes.values, prototypes.valid)

    def _least_used(self, limit: int) -> torch.Tensor:
        """Return, bool (size,), the prototypes that must leave so that `limit` of them stay; of equals the oldest."""
        evicted = torch.zeros(self.bank.size, dtype=torch.bool, device=self.bank.frames.device)
        old = (self.bank.frames == PROTOTYPE).nonzero()[:, 0]
        order = self.bank.usage[old].argsort(stable=True)
        evicted[old[order[: max(0, len(old) - limit)]]] = True
        return evicted


def select_prototypes(usage: torch.Tensor, count: int) -> torch.Tensor:
    """Return the indices of the most used candidates, by falling usage, int64 (count,) or all there are."""
    return usage.topk(min(count, len(usage))).indices


def condense(keys: Keys, chosen: torch.Tensor, values: list[torch.Tensor], valid: list[torch.Tensor]) -> Prototypes:
    """Return prototypes: the keys of the chosen candidates, with values mixed from all candidates by similarity (potentiation).

    Args:
        keys: of the candidates.
        chosen: indices of the prototypes among them.
        values, valid: (P, C) and bool (P,) of the candidates, per object. An object's values come only from candidates that have one.
    Source: Cheng and Schwing 2022 (XMem), section 3.5.
    """
    asking = Keys(keys.key[chosen], keys.shrinkage[chosen], keys.selection[chosen])
    similarity = query_rows(asking) @ stored_rows(keys).T
    mixed: list[torch.Tensor] = []
    for value, has_value in zip(values, valid, strict=True):
        weights = torch.softmax(similarity.masked_fill(~has_value, -torch.inf), 1)
        blended = weights.to(value.dtype) @ value
        mixed.append(blended.masked_fill(~has_value[chosen][:, None], 0))
    shrinkage = torch.softmax(similarity, 1) @ keys.shrinkage
    return Prototypes(asking.key, shrinkage, mixed, [has_value[chosen] for has_value in valid])


def _concatenated(keys: list[Keys]) -> Keys:
    return Keys(*(torch.cat([getattr(item, field.name) for item in keys]) for field in fields(Keys)))
