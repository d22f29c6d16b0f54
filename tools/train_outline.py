"""Make src/videoseg_r1/lite/weights/outline.safetensors: draw composites, train the outline network on them, score it on held-out ones.

    python tools/train_outline.py --work /tmp/outline

Drawn examples (about 1 MB each) and the checkpoint stay in the folder given; the command run again goes on from there. Needs the
dependency groups of the tests (scikit-image) and scikit-learn for its photos.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from outline_pictures import SIDE, draw_example
from safetensors.torch import load_file, save_file

from videoseg_r1.lite.perception.backbone import prepare
from videoseg_r1.lite.tracking.outline import OutlineNetwork

TARGET = Path(__file__).parents[1] / "src/videoseg_r1/lite/weights/outline.safetensors"
_SHARD = 80
_BATCH = 8
_WINDOW = 160  # pixels along the side of what a step looks at
_VERSIONS = (0.6, 0.2, 0.2)  # how often each of the versions of the coarse log odds is taken
_ALL_OR_NOTHING = 0.04  # of the examples: the coarse log odds say that everything is the object, or nothing, and that is true
Shard = dict[str, torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=15, help=f"of {_SHARD} examples each; the first is held out")
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=29)
    parser.add_argument("--target", type=Path, default=TARGET)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    files = [given.work / f"{given.seed}-{index}.safetensors" for index in range(given.shards)]
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(draw_shard, files, [given.seed] * len(files), range(len(files))))
    network = train(files[1:], given.work / "checkpoint.pt", given.steps, given.seed)
    print(score(network, load_file(files[0])))
    state = {name: values.contiguous() for name, values in network.state_dict().items()}
    save_file(state, given.target, metadata={"source": "tools/train_outline.py", "licence": "Apache-2.0"})


def draw_shard(file: Path, seed: int, index: int) -> None:
    """Write a shard of examples, if it is not there yet."""
    if file.exists():
        return
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    examples = [draw_example(np.random.default_rng([seed, index, number])) for number in range(_SHARD)]
    size = (SIDE, SIDE)
    half = [cv2.resize(e.cover, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA) for e in examples]
    shard = {
        "picture": torch.cat([F.avg_pool2d(prepare(e.picture, size, torch.device("cpu")), 2) for e in examples]).half(),
        "cover": torch.from_numpy(np.stack(half))[:, None].half(),
        "odds": torch.from_numpy(np.stack([e.odds for e in examples])),
        **{f"map{stage}": torch.stack([e.maps[stage] for e in examples]).half() for stage in range(5)},
    }
    part = file.with_suffix(".part")
    save_file({name: values.contiguous() for name, values in shard.items()}, part)
    part.rename(file)


def train(files: list[Path], checkpoint: Path, steps: int, seed: int) -> OutlineNetwork:
    """Return the trained network; a checkpoint every 200 steps lets an interrupted run go on."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    network = OutlineNetwork().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    parts, start = {"network": network, "optimizer": optimizer, "schedule": schedule}, 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(kept[name])
        start = kept["step"]
    shards = dict[Path, Shard]()
    losses = list[float]()
    for step in range(start, steps):
        rng = np.random.default_rng([seed, step])
        file = files[int(rng.integers(len(files)))]
        shard = shards[file] if file in shards else shards.setdefault(file, load_file(file))
        chosen = torch.from_numpy(rng.choice(_SHARD, _BATCH, replace=False))
        batch = _batch(shard, chosen, rng)
        loss = loss_of(network(batch["odds"], batch["picture"], [batch[f"map{stage}"] for stage in range(5)]), batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 50 == 49:
            print(step + 1, f"{np.mean(losses[-50:]):.4f}", flush=True)
        if step % 200 == 199:
            state = {name: part.state_dict() for name, part in parts.items()} | {"step": step + 1}
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").rename(checkpoint)
    return network.eval()


def _batch(shard: Shard, chosen: torch.Tensor, rng: np.random.Generator) -> Shard:
    """Return windows of some examples, each in one version and around a part of its outline; half of the batches are mirrored."""
    batch: dict[str, list[torch.Tensor]] = {name: [] for name in shard}
    for number in chosen.tolist():
        cover = F.avg_pool2d(shard["cover"][number].float(), 8)[0]  # strides of 16 pixels, the coarsest map
        most = -1.0, 0, 0
        for _ in range(3):
            y, x = (int(v) for v in rng.integers(0, (SIDE - _WINDOW) // 16 + 1, 2))
            part = cover[y : y + _WINDOW // 16, x : x + _WINDOW // 16]
            most = max(most, (float((part * (1 - part)).sum()), y, x))
        for name, values in shard.items():
            planes = values[number]
            if name == "odds":
                planes = planes[int(rng.choice(len(_VERSIONS), p=_VERSIONS))][None]
            cells = SIDE // 16
            scale = planes.shape[-1] // cells
            top, left, side = most[1] * scale, most[2] * scale, _WINDOW // 16 * scale
            batch[name].append(planes[:, top : top + side, left : left + side].float())
        if rng.random() < _ALL_OR_NOTHING:
            sign = float(rng.choice((-1, 1)))
            batch["cover"][-1] = torch.full_like(batch["cover"][-1], float(sign > 0))
            batch["odds"][-1] = sign * torch.from_numpy(rng.uniform(0, 1, batch["odds"][-1].shape) + rng.uniform(1, 5)).float()
    mirrored = rng.random() < 0.5
    out = {name: torch.stack([v.flip(-1) if mirrored else v for v in planes]) for name, planes in batch.items()}
    # a tracker may be surer or less sure of the same
    out["odds"] = out["odds"] * torch.from_numpy(rng.uniform(0.6, 1.3, (len(chosen), 1, 1, 1))).float()
    return {name: values.contiguous(memory_format=torch.channels_last) for name, values in out.items()}


def loss_of(odds: torch.Tensor, batch: Shard) -> torch.Tensor:
    """Return the loss: cross entropy that weighs more near the true and the coarse outline, and one minus the soft IoU."""
    cover = batch["cover"]
    coarse = torch.sigmoid(F.interpolate(batch["odds"], cover.shape[-2:], mode="bilinear", align_corners=False))
    edge = F.max_pool2d(cover, 9, 1, 4) + F.max_pool2d(-cover, 9, 1, 4)
    weight = 0.3 + 2 * edge + (coarse - cover).abs()
    entropy = F.binary_cross_entropy_with_logits(odds, cover, reduction="none")
    probability = torch.sigmoid(odds)
    both = (probability * cover).sum((1, 2, 3)) + 20
    either = (probability + cover - probability * cover).sum((1, 2, 3)) + 20
    return (weight * entropy).sum() / weight.sum() + 0.5 * (1 - both / either).mean()


@torch.inference_mode()
def score(network: OutlineNetwork, shard: Shard) -> str:
    """Return the mean IoU before and after, for each version of the coarse log odds."""
    lines = list[str]()
    maps = [shard[f"map{stage}"].float() for stage in range(5)]
    for version in range(len(_VERSIONS)):
        odds = shard["odds"][:, version : version + 1].float()
        rows = [slice(first, first + _BATCH) for first in range(0, _SHARD, _BATCH)]
        after = torch.cat([network(odds[row], shard["picture"][row].float(), [level[row] for level in maps]) for row in rows])
        before = F.interpolate(odds, after.shape[-2:], mode="bilinear", align_corners=False)
        truth = shard["cover"] > 0.5
        ious = [(((o > 0) & truth).sum((1, 2, 3)) / ((o > 0) | truth).sum((1, 2, 3)).clamp_min(1)).mean() for o in (before, after)]
        lines.append(f"version {version}: IoU {ious[0]:.3f} -> {ious[1]:.3f}")
    return "; ".join(lines)


if __name__ == "__main__":
    main()
