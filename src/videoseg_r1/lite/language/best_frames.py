"""The frames in which the things that an answer names are seen best, found by the ids of the things.

Not here: which frame of a part is best (`lite.perception.seed_frames`), the answer (`matcher`, `lite.reader`).
"""

from __future__ import annotations

from videoseg_r1.lite.language.matcher import looks
from videoseg_r1.lite.language.transcript import describe
from videoseg_r1.lite.perception.perceived_video import Perception
from videoseg_r1.lite.perception.seed_frames import best_frames
from videoseg_r1.lite.perception.tracks import follow
from videoseg_r1.stages.protocols import Context, Segmenter
from videoseg_r1.types import Reasoning
from videoseg_r1.video.indices import split


class LiteBestFrameFinder:
    """A `BestFrameFinder` over what perception tracked; it does not matter which reasoner gave the answer.

    Args:
        perception: that of the reasoner, whose cues carry the ids of its things.
        segmenter: makes a mask in each frame that is considered.
        num_seed_frames: equal parts of the video, each of which may give one frame; with 1 nothing is looked for.
    """

    def __init__(self, perception: Perception, segmenter: Segmenter, num_seed_frames: int) -> None:
        self._perception, self._segmenter, self._num_seed_frames = perception, segmenter, num_seed_frames

    def find(self, meant: Reasoning, context: Context) -> dict[int, Reasoning]:
        """Return where the things that an answer names are seen best; nothing where a cue carries no id of one. See `BestFrameFinder`.

        Raises: WeightsMissing, ModelError: a network cannot be loaded.
        """
        if self._num_seed_frames == 1:
            return {}
        video, num_frames = context.video, context.video.num_frames
        perceived = self._perception.of(video)
        scans = perceived.scan(video, looks(num_frames, context.pick.segment, context.pick.target_frame))
        tracks = {track.track_id: track for track in follow(scans)}
        things = [tracks[cue.track_id] for cue in meant.cues if cue.track_id in tracks]
        if len(things) < len(meant.cues):
            return {}
        parts = split((0, num_frames - 1), self._num_seed_frames)  # masks are carried to both ends, however short the key segment is
        found = best_frames(video, perceived, scans, things, parts, self._segmenter)
        size = video.info.width, video.info.height
        return {
            index: Reasoning("\n".join(describe(thing, index, num_frames, size) for thing in things), cues) for index, cues in found.items()
        }
