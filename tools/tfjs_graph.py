"""Read and run a graph model of TensorFlow.js with numpy alone, as far as NanoDet needs it.

It knows what each kind of node means and nothing of the network, so its numbers are a reference for a network that is written by hand.
Slow, and for one picture at a time. Used by `convert_nanodet.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_DTYPES = {"float32": "<f4", "int32": "<i4", "float16": "<f2"}


@dataclass(frozen=True)
class Graph:
    """`nodes`: as in the file, by name. `constants`: the values of those that are constant, by name; float16 where they are stored so."""

    nodes: Mapping[str, Mapping[str, Any]]
    constants: Mapping[str, Array]

    def run(self, outputs: list[str], given: Mapping[str, Array]) -> list[Array]:
        """Return the values of nodes. `given`: values of the inputs; for other nodes, values that take the place of theirs."""
        known: dict[str, Array | list[Array]] = {**self.constants, **given}
        for name in outputs:
            self._compute(name, known)
        return [_piece(name, known) for name in outputs]

    def _compute(self, name: str, known: dict[str, Array | list[Array]]) -> None:
        node = self.nodes[name]
        if name in known:
            return
        for origin in node["input"]:
            self._compute(_node_of(origin), known)
        known[name] = _OPERATIONS[node["op"]](_Attributes(node.get("attr", {})), *(_piece(origin, known) for origin in node["input"]))


def read_graph(topology: bytes, weights: bytes) -> Graph:
    """Return the graph of a .json file and its one .bin file."""
    document = json.loads(topology)
    constants: dict[str, Array] = {}
    position = 0
    for entry in (entry for group in document["weightsManifest"] for entry in group["weights"]):
        stored = entry.get("quantization", entry)["dtype"]
        values = np.frombuffer(weights, _DTYPES[stored], int(np.prod(entry["shape"])), position)
        constants[entry["name"]] = values.reshape(entry["shape"])
        position += values.nbytes
    if position != len(weights):
        raise SystemExit(f"the weights end at byte {position} of {len(weights)}")
    return Graph({node["name"]: node for node in document["modelTopology"]["node"]}, constants)


class _Attributes:
    """The attributes of a node, as Python values."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._stored = stored

    def numbers(self, name: str) -> list[int]:
        return [int(value) for value in self._stored[name]["list"]["i"]]

    def number(self, name: str) -> float:
        return float(self._stored[name]["f"])

    def flag(self, name: str) -> bool:
        return bool(self._stored[name].get("b", False))

    def text(self, name: str) -> str:
        return base64.b64decode(self._stored[name]["s"]).decode()


def _node_of(origin: str) -> str:
    return origin.partition(":")[0]


def _piece(origin: str, known: Mapping[str, Array | list[Array]]) -> Array:
    """Return the value that "node" or "node:2" stands for; stored half precision is computed with as float32."""
    value = known[_node_of(origin)]
    if isinstance(value, list):
        value = value[int(origin.partition(":")[2] or 0)]
    return value.astype(np.float32) if value.dtype == np.float16 else value


def _conv(attributes: _Attributes, x: Array, weight: Array) -> Array:
    if attributes.text("padding") != "VALID" or set(attributes.numbers("dilations")) != {1}:
        raise NotImplementedError("only unpadded convolutions without dilation are known")
    height, width, channels, filters = weight.shape
    step = attributes.numbers("strides")[1]
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (height, width), (0, 1))[::step, ::step]  # (h, w, channels, height, width)
    rows = windows.transpose(0, 1, 3, 4, 2).reshape(-1, height * width * channels)
    return (rows @ weight.reshape(-1, filters)).reshape(1, *windows.shape[:2], filters)


def _max_pool(attributes: _Attributes, x: Array) -> Array:
    _, height, width, _ = attributes.numbers("ksize")
    step = attributes.numbers("strides")[1]
    return np.lib.stride_tricks.sliding_window_view(x[0], (height, width), (0, 1))[::step, ::step].max((3, 4))[None]


def _resize(attributes: _Attributes, x: Array, size: Array) -> Array:
    if not attributes.flag("half_pixel_centers") or attributes.flag("align_corners"):
        raise NotImplementedError("only half-pixel centres are known")
    for axis, length in zip((1, 2), size, strict=True):
        place = np.clip((np.arange(length) + 0.5) * x.shape[axis] / length - 0.5, 0, x.shape[axis] - 1)
        low = np.floor(place).astype(int)
        share = (place - low).astype(np.float32).reshape(-1, *[1] * (3 - axis))
        x = np.take(x, low, axis) * (1 - share) + np.take(x, np.minimum(low + 1, x.shape[axis] - 1), axis) * share
    return x


def _sparse_to_dense(_: _Attributes, places: Array, shape: Array, values: Array, default: Array) -> Array:
    dense = np.full(shape, default)
    dense[tuple(places.T)] = values
    return dense


def _split(_: _Attributes, x: Array, lengths: Array, axis: Array) -> list[Array]:
    return np.split(x, np.cumsum(lengths)[:-1], int(axis))


def _pad(_: _Attributes, x: Array, widths: Array, value: Array | float = 0.0) -> Array:
    return np.pad(x, widths, constant_values=value)


_OPERATIONS: Mapping[str, Callable[..., Array | list[Array]]] = {
    "Add": lambda _, x, y: x + y,
    "AddV2": lambda _, x, y: x + y,
    "ConcatV2": lambda _, *parts: np.concatenate(parts[:-1], int(parts[-1])),
    "Conv2D": _conv,
    "Identity": lambda _, x: x,
    "LeakyRelu": lambda attributes, x: np.where(x > 0, x, x * np.float32(attributes.number("alpha"))),
    "MaxPool": _max_pool,
    "Pad": _pad,
    "PadV2": _pad,
    "Reshape": lambda _, x, shape: x.reshape(shape),
    "ResizeBilinear": _resize,
    "Sigmoid": lambda _, x: 1 / (1 + np.exp(-x)),
    "SparseToDense": _sparse_to_dense,
    "SplitV": _split,
    "Transpose": lambda _, x, order: x.transpose(order),
}
