"""How fast is XMem here? The package against a straightforward dense implementation of the same network, in the same run.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/xmem.py [--threads 2] [--stored 40] [--bf16] [--growth 2000]

One object, 480 x 854 frames of DAVIS "dog", pseudo-random weights (speed does not depend on them). The dense implementation below is
what one writes first: float32, batch norms as they are, memory grown with `torch.cat`, a dense affinity of every stored position with
every query, times all values. Times are CPU-seconds of the process, the best of a few calls, so that other work on the machine counts
less; a frame is key + read + decode + a fifth of value. Prints one JSON document.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads should not burn the other core

import argparse
import ctypes
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from videoseg_r1.stages.propagation.xmem import normalised
from videoseg_r1.video import open_video
from videoseg_r1.xmem import InferenceCore, XMem, XMemConfig
from videoseg_r1.xmem.checkpoint import RESNET18_STAGES, RESNET50_STAGES, random_state
from videoseg_r1.xmem.core import padded
from videoseg_r1.xmem.memory import Memory
from videoseg_r1.xmem.network import Features, Keys, empty_sensory

TOP_K, MEM_EVERY = 30, 5
State = dict[str, torch.Tensor]


class Dense:
    """The plain network and memory."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.key = self.shrinkage = self.value = torch.empty(0)

    def conv(self, name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = self.state[f"{name}.weight"]
        return F.conv2d(x, weight, self.state.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        mean, variance, weight, bias = (self.state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, variance, weight, bias)

    def resnet(self, prefix: str, stages: tuple[tuple[str, int, int], ...], x: torch.Tensor) -> list[torch.Tensor]:
        x = F.max_pool2d(F.relu(self.norm(f"{prefix}.bn1", self.conv(f"{prefix}.conv1", x, 2))), 3, 2, 1)
        maps: list[torch.Tensor] = []
        for position, (stage, _, num_blocks) in enumerate(stages):
            for index in range(num_blocks):
                x = self.block(f"{prefix}.{stage}.{index}", x, 2 if position and not index else 1)
            maps.append(x)
        return maps

    def block(self, name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
        bottleneck = f"{name}.conv3.weight" in self.state
        y = F.relu(self.norm(f"{name}.bn1", self.conv(f"{name}.conv1", x, 1 if bottleneck else stride)))
        y = self.norm(f"{name}.bn2", self.conv(f"{name}.conv2", y, stride if bottleneck else 1))
        if bottleneck:
            y = self.norm(f"{name}.bn3", self.conv(f"{name}.conv3", F.relu(y)))
        if f"{name}.downsample.0.weight" in self.state:
            x = self.norm(f"{name}.downsample.1", self.conv(f"{name}.downsample.0", x, stride))
        return F.relu(x + y)

    def residual(self, name: str, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(f"{name}.conv2", F.relu(self.conv(f"{name}.conv1", F.relu(x))))
        return y + (self.conv(f"{name}.downsample", x) if f"{name}.downsample.weight" in self.state else x)

    def fuse(self, name: str, picture: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        x = self.residual(f"{name}.block1", torch.cat([picture.expand(len(own), -1, -1, -1), own], 1))
        gate = self.mlp(f"{name}.attention.ChannelGate.mlp", x.mean((2, 3))) + self.mlp(f"{name}.attention.ChannelGate.mlp", x.amax((2, 3)))
        y = x * torch.sigmoid(gate)[:, :, None, None]
        pooled = torch.cat([y.amax(1, keepdim=True), y.mean(1, keepdim=True)], 1)
        y = y * torch.sigmoid(self.conv(f"{name}.attention.SpatialGate.spatial.conv", pooled))
        return self.residual(f"{name}.block2", x + y)

    def mlp(self, name: str, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(F.linear(x, self.state[f"{name}.1.weight"], self.state[f"{name}.1.bias"]))
        return F.linear(x, self.state[f"{name}.3.weight"], self.state[f"{name}.3.bias"])

    def encode_key(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        f4, f8, f16 = self.resnet("key_encoder", RESNET50_STAGES, image)
        key, shrinkage, selection = (self.conv(f"key_proj.{name}", f16) for name in ("key_proj", "d_proj", "e_proj"))
        return f16, f8, f4, key.flatten(2)[0], shrinkage.flatten(2)[0].square() + 1, torch.sigmoid(selection.flatten(2)[0])

    def encode_value(self, image: torch.Tensor, f16: torch.Tensor, state: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        others = masks.sum(0, keepdim=True) - masks
        x = torch.cat([image.expand(len(masks), -1, -1, -1), torch.stack([masks, others], 1)], 1)
        value = self.fuse("value_encoder.fuser", f16, self.resnet("value_encoder", RESNET18_STAGES, x)[-1])
        self.gru("value_encoder.hidden_reinforce.transform", value, state)
        return value

    def gru(self, name: str, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        forget, update, new = self.conv(name, torch.cat([x, state], 1)).chunk(3, 1)
        update = torch.sigmoid(update)
        return torch.sigmoid(forget) * state * (1 - update) + update * torch.tanh(new)

    def add(self, key: torch.Tensor, shrinkage: torch.Tensor, value: torch.Tensor) -> None:
        if not self.key.numel():
            self.key, self.shrinkage, self.value = key, shrinkage, value
        self.key, self.shrinkage = torch.cat([self.key, key], 1), torch.cat([self.shrinkage, shrinkage], 1)
        self.value = torch.cat([self.value, value], 2)

    def read(self, key: torch.Tensor, selection: torch.Tensor) -> torch.Tensor:
        """Return (N, C, P)."""
        stored = self.key.T
        similarity = 2 * stored @ (key * selection) - stored.square() @ selection - (selection * key.square()).sum(0, keepdim=True)
        similarity = similarity * self.shrinkage.T / key.shape[0] ** 0.5
        best, rows = similarity.topk(TOP_K, dim=0)
        affinity = torch.zeros_like(similarity).scatter_(0, rows, torch.softmax(best, 0))
        return self.value @ affinity

    def decode(self, maps: tuple[torch.Tensor, ...], readout: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        f16, f8, f4 = maps
        g16 = self.fuse("decoder.fuser", f16, torch.cat([readout, state], 1))
        g8 = self.up("decoder.up_16_8", f8, g16)
        g4 = self.up("decoder.up_8_4", f4, g8)
        coarse = self.conv("decoder.pred", F.relu(g4))
        fine = F.interpolate(torch.cat([g4, coarse], 1), scale_factor=1 / 4, mode="area")
        middle = F.interpolate(g8, scale_factor=1 / 2, mode="area")
        name = "decoder.hidden_update"
        x = self.conv(f"{name}.g16_conv", g16) + self.conv(f"{name}.g8_conv", middle) + self.conv(f"{name}.g4_conv", fine)
        logits = F.interpolate(coarse, scale_factor=4, mode="bilinear", align_corners=False)[:, 0]
        return logits, self.gru(f"{name}.transform", x, state)

    def up(self, name: str, skip: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        grown = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.residual(f"{name}.out_conv", grown + self.conv(f"{name}.skip_conv", skip))


def cpu_seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the CPU-seconds of the fastest call; one call goes before to warm up."""
    call()
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def temporaries_mb(call: Callable[[], object]) -> float:
    """Return by how much the resident memory peaks above what it was before the call, in MB (Linux)."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    kept = call()
    peak = _status("VmHWM")
    del kept
    return (peak - before) / 1000


def _status(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return float(line.split()[1])


def load_weights(root: Path) -> State:
    folder = root / "xmem_parity"
    if not folder.is_dir():
        return random_state()
    spec = importlib.util.spec_from_file_location("recipe", folder / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    return {key: torch.as_tensor(value) for key, value in recipe.make_state_dict(folder / "keys.json").items()}


def stored_frames(num: int, features: Features) -> list[tuple[Keys, torch.Tensor]]:
    """Frames that look like the one at hand, with noise: what a memory is full of."""
    generator = torch.Generator().manual_seed(0)
    keys, positions = features.keys, len(features.keys.key)

    def noisy() -> Keys:
        return Keys(keys.key + 0.3 * torch.randn(keys.key.shape, generator=generator), keys.shrinkage, keys.selection)

    return [(noisy(), torch.randn(1, positions, 512, generator=generator)) for _ in range(num)]


def per_frame(stages: dict[str, float]) -> float:
    return stages["key"] + stages["read"] + stages["decode"] + stages["value"] / MEM_EVERY


def measure_ours(network: XMem, image: torch.Tensor, num_stored: int, repeats: int) -> tuple[dict[str, float], torch.Tensor]:
    """Return CPU-seconds per stage and temporaries of the read, and what was read."""
    features = network.encode_key(image)
    sensory, masks = empty_sensory(1, features), torch.rand(1, *image.shape[2:], generator=torch.Generator().manual_seed(1))
    memory = Memory(XMemConfig(enable_long_term=False, top_k=TOP_K), network.device, network.dtype)
    for number, (keys, values) in enumerate(stored_frames(num_stored, features)):
        memory.add(number, keys, values, given=number == 0)
    readout = memory.read(features.keys)
    maps = readout.transpose(1, 2).unflatten(2, features.grid)
    stages = {
        "key": cpu_seconds(lambda: network.encode_key(image), repeats),
        "read": cpu_seconds(lambda: memory.read(features.keys), repeats),
        "decode": cpu_seconds(lambda: network.decode(features, maps, sensory, update=True), repeats),
        "value": cpu_seconds(lambda: network.encode_value(image, features, sensory, masks, deep=True), repeats),
    }
    return stages | {"read_temporaries_mb": temporaries_mb(lambda: memory.read(features.keys)), "frame": per_frame(stages)}, readout


def measure_dense(
    dense: Dense, image: torch.Tensor, frames: list[tuple[Keys, torch.Tensor]], repeats: int
) -> tuple[dict[str, float], torch.Tensor]:
    f16, f8, f4, key, _, selection = dense.encode_key(image)
    sensory, masks = torch.zeros(1, 64, *f16.shape[2:]), torch.rand(1, *image.shape[2:], generator=torch.Generator().manual_seed(1))
    dense.key = torch.cat([keys.key.T for keys, _ in frames], 1)
    dense.shrinkage = torch.cat([keys.shrinkage[None] for keys, _ in frames], 1)
    dense.value = torch.cat([values.transpose(1, 2) for _, values in frames], 2)
    readout = dense.read(key, selection)
    maps = readout.unflatten(2, f16.shape[2:])
    stages = {
        "key": cpu_seconds(lambda: dense.encode_key(image), repeats),
        "read": cpu_seconds(lambda: dense.read(key, selection), repeats),
        "decode": cpu_seconds(lambda: dense.decode((f16, f8, f4), maps, sensory), repeats),
        "value": cpu_seconds(lambda: dense.encode_value(image, f16, sensory, masks), repeats),
    }
    return stages | {"read_temporaries_mb": temporaries_mb(lambda: dense.read(key, selection)), "frame": per_frame(stages)}, readout


def accuracy(exact: XMem, fast: XMem, davis: Path, num_frames: int) -> dict[str, float]:
    """Return mean and 99.9 % quantile of how the probabilities of two precisions differ over some frames of "dog" at half size."""
    import cv2

    with open_video(davis / "JPEGImages/480p/dog") as video:
        frames = [cv2.resize(frame.rgb, (424, 240), interpolation=cv2.INTER_AREA) for frame in video.frames(0, num_frames)]
    mask = cv2.resize(cv2.imread(str(davis / "Annotations/480p/dog/00000.png"), 0), (424, 240), interpolation=cv2.INTER_NEAREST) > 0
    cores = [InferenceCore(network, XMemConfig(mem_every=2)) for network in (exact, fast)]
    differences: list[torch.Tensor] = []
    for index, frame in enumerate(frames):
        one, other = (core.step(normalised(frame), mask[None] if index == 0 else None) for core in cores)
        if index:
            differences.append((one - other).abs().flatten())
    every = torch.cat(differences).numpy()
    return {"frames": num_frames - 1, "mean": float(every.mean()), "quantile_99.9": float(np.quantile(every, 0.999))}


def growth(network: XMem, num_frames: int) -> dict[str, float]:
    """Return resident MB after a tenth of the frames and after all of them, long-term memory on, small random frames."""
    core = InferenceCore(network, XMemConfig())
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(1, 96, 128)
    mask[:, 20:60, 30:80] = 1
    used: dict[str, float] = {}
    for index in range(num_frames):
        core.step(torch.randn(3, 96, 128, generator=generator), mask if index == 0 else None)
        if index + 1 in (num_frames // 10, num_frames):
            used[f"resident_mb_at_{index + 1}"] = _status("VmRSS") / 1000
    return used | {"prototypes": core.memory.num_long_term}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data"))
    parser.add_argument("--stored", type=int, default=40, help="frames in memory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 as well; a minute per call where the CPU emulates it")
    parser.add_argument("--growth", type=int, default=0, metavar="FRAMES", help="run so many frames and report the memory of the process")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    state = load_weights(args.root)
    network = XMem.from_checkpoint(state)
    davis = args.root / "davis16_dev"
    with open_video(davis / "JPEGImages/480p/dog") as video:
        image = padded(normalised(video.read([0])[0].rgb))[None]
    ours, readout = measure_ours(network, image, args.stored, args.repeats)
    print("the package is measured", file=sys.stderr)
    frames = stored_frames(args.stored, network.encode_key(image))
    plain, dense_readout = measure_dense(Dense(state), image, frames, args.repeats)
    report: dict[str, object] = {
        "stored_frames": args.stored,
        "threads": args.threads,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "cpu_seconds": {"dense fp32": plain, "package fp32": ours},
        "read_ratio": plain["read"] / ours["read"],
        "decode_ratio": plain["decode"] / ours["decode"],
        "frame_ratio_fp32": plain["frame"] / ours["frame"],
        "readouts_differ_by": float((readout.transpose(1, 2) - dense_readout).abs().mean()),
    }
    if args.bf16:
        half = XMem.from_checkpoint(state, dtype=torch.bfloat16)
        fast, _ = measure_ours(half, image, args.stored, 1)
        report["cpu_seconds"] = {"dense fp32": plain, "package fp32": ours, "package bf16": fast}
        report["frame_ratio_bf16"] = plain["frame"] / fast["frame"]
        report["bf16_accuracy"] = accuracy(network, half, davis, 6)
    if args.growth:
        report["growth"] = growth(network, args.growth)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
