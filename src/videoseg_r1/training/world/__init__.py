"""The drawn world, training data without downloads: random scenes, their transcripts, questions with known answers, and videos.

`draw_world_sample` gives samples for stage 2, `draw_moment` questions for stage 1, `render.RenderedScene` the same scenes as pictures
with exact masks, `benchmark.rendered_clips` makes clips of them, as any dataset has. What is held out of training (kinds, facts, templates,
noise) is data beside what is not. Not here: prompts for text alone (`WorldSample.messages` takes any template), rewards.
"""

from videoseg_r1.training.world.moments import MomentQuestion, draw_moment
from videoseg_r1.training.world.perception import NOISES, Noise
from videoseg_r1.training.world.queries import Query
from videoseg_r1.training.world.sample import SPLITS, Split, WorldSample, draw_group, draw_sentences, draw_world_sample
from videoseg_r1.training.world.scene import Scene, Thing, draw_scene
from videoseg_r1.training.world.templates import KINDS_OF_QUERY

__all__ = [
    "KINDS_OF_QUERY",
    "NOISES",
    "SPLITS",
    "MomentQuestion",
    "Noise",
    "Query",
    "Scene",
    "Split",
    "Thing",
    "WorldSample",
    "draw_group",
    "draw_moment",
    "draw_scene",
    "draw_sentences",
    "draw_world_sample",
]
