"""Questions of stage 1 about the world: in which interval the target is visible or does what is asked, and in which frame it shows best.

Not here: questions of stage 2 (`sample`), how votes are merged (`stages.sampling.hierarchical`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from videoseg_r1.lite.language.matcher import looks
from videoseg_r1.lite.language.transcript import transcript
from videoseg_r1.training.world import names
from videoseg_r1.training.world.attributes import margin_frames, overtaking
from videoseg_r1.training.world.perception import Noise, noises, perceive
from videoseg_r1.training.world.queries import Query
from videoseg_r1.training.world.sample import Split, draw_case, rng_of
from videoseg_r1.training.world.scene import Scene
from videoseg_r1.training.world.templates import KINDS_OF_QUERY

Ask: TypeAlias = Literal["interval", "position"]
_KINDS = tuple(kind for kind in KINDS_OF_QUERY if kind != "absent")


@dataclass(frozen=True, eq=False)
class MomentQuestion:
    """One question of the frame sampler.

    Attributes:
        ask: "interval" or "position".
        scene, noise, query, targets: as in `WorldSample`.
        transcript: what perception says about the frames shown, which are spread over the whole video.
        frames: first and last frame of the true interval: all targets are in the picture, or do what the query says.
        best_frame: frame of that interval in which the targets are largest and least covered.
    """

    ask: Ask
    scene: Scene
    noise: Noise
    query: Query
    targets: tuple[int, ...]
    transcript: str
    frames: tuple[int, int]
    best_frame: int

    @property
    def interval(self) -> tuple[int, int]:
        """The true interval in percent of the clip shown, rounded outwards."""
        last = self.scene.num_frames - 1
        return 100 * self.frames[0] // last, -(-100 * self.frames[1] // last)

    @property
    def position(self) -> int:
        """The best moment in percent of the clip shown."""
        return round(100 * self.best_frame / (self.scene.num_frames - 1))

    def reply(self) -> str:
        """Return the target reply."""
        return f"<answer>{list(self.interval) if self.ask == 'interval' else self.position}</answer>"


def draw_moment(seed: int, split: Split = "train", ask: Ask = "interval", noise: Noise | None = None) -> MomentQuestion:
    """Return the question of this seed; the same seed asks about the same scene both ways. See `draw_world_sample` for the arguments."""
    rng = rng_of(seed, split)
    levels = noises(split == "ood")
    noise = noise or levels[int(rng.integers(len(levels)))]
    scene, frame, resolved = draw_case(rng, _KINDS[int(rng.integers(len(_KINDS)))], split)
    indices = looks(scene.num_frames, (0, scene.num_frames - 1))
    shown = min(indices, key=lambda index: abs(index - frame))
    sightings = perceive(rng, scene, indices, noise, names.kinds(split == "ood"), resolved.targets, shown)
    frames = true_interval(scene, resolved.query, resolved.targets)
    return MomentQuestion(
        ask=ask,
        scene=scene,
        noise=noise,
        query=resolved.query,
        targets=resolved.targets,
        transcript=transcript([sighting.track for sighting in sightings], shown, scene.num_frames, scene.size),
        frames=frames,
        best_frame=best_frame(scene, resolved.targets, frames),
    )


def true_interval(scene: Scene, query: Query, targets: tuple[int, ...]) -> tuple[int, int]:
    """Return first and last frame of the true interval: around the event that the query names, else while all are in the picture."""
    seen = int(scene.first[list(targets)].max()), int(scene.last[list(targets)].min())
    moment = _moment(scene, query, targets[0])
    if moment is None:
        return seen
    reach = margin_frames(scene.num_frames)
    return max(seen[0], moment - reach), min(seen[1], moment + reach)


def best_frame(scene: Scene, targets: tuple[int, ...], frames: tuple[int, int]) -> int:
    """Return the frame of an interval in which the visible area of the targets is largest; of equals the middle one."""
    chosen = list(targets)
    shown = (scene.areas[chosen] * scene.uncovered[chosen]).sum(0)[frames[0] : frames[1] + 1]
    equals = np.flatnonzero(shown >= shown.max() * 0.99)
    return frames[0] + int(equals[len(equals) // 2])


def _moment(scene: Scene, query: Query, target: int) -> int | None:
    """Return the frame of the event that the query names, None when it names none."""
    asked = dict(query.filters)
    deed = query.rank.rpartition(" to ")[2] if " to " in query.rank else asked.get("deed", "")
    if deed:
        return int(scene.deeds[deed][target])
    for other, thing in enumerate(scene.things):
        if thing.kind.name == asked.get("overtakes") and overtaking(scene, target, other)[0]:
            return overtaking(scene, target, other)[1]
    return None
