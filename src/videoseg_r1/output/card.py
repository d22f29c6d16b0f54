"""The reasoning card: one picture that shows the query, the frames that were looked at, the reasoning, and the targets found.

`card_frames` says which frames it needs, `draw_card` lays them out. Not here: every single frame (the overlay video), machine
reading (`SegmentationResult.to_dict`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from videoseg_r1.masks import resize_mask
from videoseg_r1.output.page import INK, LINE, MUTED, WHITE, Block, measure, stack, wrap
from videoseg_r1.output.render import color_of, overlay
from videoseg_r1.output.typeset import unreadable
from videoseg_r1.types import Color, Cue, Point, RgbImage, Round

if TYPE_CHECKING:
    from videoseg_r1.output.result import SegmentationResult, Track

_WIDTH, _MARGIN = 1600, 64
_RIGHT = _WIDTH - _MARGIN
_INNER = _WIDTH - 2 * _MARGIN
_LARGE = (960, 640)
_NUM_THUMBNAILS = 6
_MAX_TRACKS = 8
_STAGES = ("load", "sample", "reason", "seed", "propagate", "check")
_MAX_ROUNDS, _MAX_VOTES = 4, 5
_MAX_LETTERS = 4000
"""More than the card shows of any text."""
_AMBER: Color = (255, 190, 46)
_DARK_AMBER: Color = (214, 138, 0)
_GREEN: Color = (22, 163, 74)
_RED: Color = (220, 38, 38)


def card_frames(result: SegmentationResult) -> tuple[int, ...]:
    """Return the indices of the frames that `draw_card` shows, ascending."""
    return tuple(sorted({_large_frame(result), *_thumbnails(result)}))


def card_picture(rgb: RgbImage) -> RgbImage:
    """Return a frame no larger than the card can use, so that a few kept frames of any resolution take little memory."""
    height, width = rgb.shape[:2]
    share = min(1.0, 2 * _LARGE[0] / width, 2 * _LARGE[1] / height)
    return rgb if share == 1 else np.asarray(Image.fromarray(rgb).resize(_size((width, height), share), Image.Resampling.LANCZOS))


def unreadable_parts(result: SegmentationResult) -> tuple[str, ...]:
    """Return in words what the query, the reasoning and the file name hold that no font here can draw; the card has it in brackets."""
    texts = result.query, result.reasoning and result.reasoning.text, result.trace.video.name
    return unreadable(" ".join(text[:_MAX_LETTERS] for text in texts if text))


def draw_card(result: SegmentationResult, frames: Mapping[int, RgbImage]) -> Image.Image:
    """Return the card as an RGB picture, 1600 pixels wide.

    `frames` maps the indices of `card_frames` to those frames, (H, W, 3) uint8, in any size of the video's proportions. Pictures are
    stretched to square pixels where the video has others.
    """
    target = frames[_large_frame(result)]
    return stack([_header(result), _evidence(result, target), _timeline(result), _key_frames(result, frames), _footer(result)])


# ---- which frames ----


def _large_frame(result: SegmentationResult) -> int:
    """The target frame; without stage 1 the first frame that a mask was given for, or that shows a target."""
    if result.keyframes is not None:
        return result.keyframes.target_frame
    if result.trace.seed_masks:
        return min(result.trace.seed_masks)
    return next((index for index in range(result.num_frames) if result.present(index)), 0)


def _thumbnails(result: SegmentationResult) -> tuple[int, ...]:
    """At most six frames: the target frame and key frames; without stage 1, frames of the whole clip."""
    pick = result.keyframes
    if pick is None:
        return tuple(sorted({round(x) for x in np.linspace(0, result.num_frames - 1, _NUM_THUMBNAILS)}))
    others = sorted(set(pick.key_frames) - {pick.target_frame})
    places = np.linspace(0, len(others) - 1, min(len(others), _NUM_THUMBNAILS - 1))
    return tuple(sorted({pick.target_frame, *(others[round(x)] for x in places)}))


# ---- the blocks, from top to bottom ----


def _header(result: SegmentationResult) -> Block:
    title = wrap(result.query or "Given masks, carried through the video", 46, _INNER, max_lines=4)
    y = 52 + 58 * len(title) + 16
    block = Block(_WIDTH, y + 60)
    block.lines((_MARGIN, 52), title, 46, 58)
    size, shown = (f"{width} x {height}" for width, height in (result.size, _shown(result)))
    facts = [size if shown == size else f"{size}, shown as {shown}", _counted(result.num_frames, "frame"), _seconds(result.times[-1])]
    words, color = _verdict(result)
    chip = measure(words, 22) + 44
    name = wrap(result.trace.video.name, 22, _INNER - chip - 420, max_lines=1)[0]
    block.text((_MARGIN, y), _joined([name, *facts]), 22, MUTED)
    block.box((_RIGHT - chip, y - 8, _RIGHT, y + 34), fill=color, radius=21)
    block.text((_RIGHT - chip / 2, y + 12), words, 22, WHITE, anchor="mm")
    return block


def _verdict(result: SegmentationResult) -> tuple[str, Color]:
    found = sum(any(track.present(i) for i in range(result.num_frames)) for track in result.tracks)
    if result.reasoning is not None and result.reasoning.failed:
        return "No usable answer", _RED
    return (_counted(found, "target") + " found", _GREEN) if found else ("No target found", MUTED)


def _evidence(result: SegmentationResult, rgb: RgbImage) -> Block:
    """The target frame with everything that was marked on it; beside it the thinking and the figures."""
    shown = _shown(result)
    size = _size(shown, min(_LARGE[0] / shown[0], _LARGE[1] / shown[1]))
    left = _MARGIN + size[0] + 48
    words = Block(_RIGHT - left, 2600)
    words_height = _write_words(words, result, _RIGHT - left)
    legend_y = size[1] + (27 if size[0] >= 560 else 60)
    block = Block(_WIDTH, max(legend_y + 25, words_height) + 36)
    index = _large_frame(result)
    block.picture((_MARGIN, 0), size, _with_masks(result, rgb, index))
    if result.reasoning is not None:
        for number, cue in enumerate(result.reasoning.cues, start=1):
            # a cue that led to no mask has no track, and then numbers no longer agree
            color = color_of(number) if len(result.reasoning.cues) == len(result.tracks) else INK
            _draw_cue(block, cue, (size[0] / result.size[0], size[1] / result.size[1]), color)
    name = "Target frame" if result.keyframes else "Frame"
    block.text((_MARGIN, size[1] + 16), f"{name} {index}  ·  {_seconds(result.times[index])}", 20)
    if result.reasoning is not None and result.reasoning.cues:
        _draw_point_legend(block, _MARGIN + max(size[0], 300), legend_y)
    block.put((left, 0), words, words_height)
    return block


def _timeline(result: SegmentationResult) -> Block:
    """The whole clip as a bar, with what stage 1 chose, and one strip per object that shows where it is."""
    tracks, pick = result.tracks[:_MAX_TRACKS], result.keyframes
    rounds = pick.rounds[:_MAX_ROUNDS] if pick else ()
    strips = 136 + 26 * len(rounds)
    bottom = strips + 26 * len(tracks) + 6
    block = _section("Timeline", bottom + 52)
    x1, x2 = _MARGIN + 112, _RIGHT

    def place(index: float) -> float:
        return x1 + (x2 - x1) * index / result.num_frames

    for row, vote in enumerate(rounds):
        _draw_votes(block, f"votes {row + 1}", vote, place, 136 + 26 * row)
    block.text((_MARGIN, 104), "clip", 18, MUTED, anchor="lm")
    block.box((x1, 90, x2, 118), fill=LINE, radius=4)
    if pick is not None:
        block.box((place(pick.segment[0]), 90, place(pick.segment[1] + 1), 118), fill=_AMBER, radius=4)
        for index in pick.reference_frames:
            block.disc((place(index + 0.5), 104), 6, MUTED)
        _mark_target(block, place(pick.target_frame + 0.5), 104)
        _draw_time_legend(block)
    for row, track in enumerate(tracks):
        _draw_presence(block, track, result.num_frames, (x1, x2), strips + 26 * row)
    for quarter, anchor in enumerate(("la", "ma", "ma", "ma", "ra")):
        time = result.times[round((result.num_frames - 1) * quarter / 4)]
        block.text((x1 + (x2 - x1) * quarter / 4, bottom), _seconds(time), 18, MUTED, anchor)
    return block


def _key_frames(result: SegmentationResult, frames: Mapping[int, RgbImage]) -> Block:
    gap = 16
    num_cells = max(4, len(_thumbnails(result)))
    cell = (_INNER - gap * (num_cells - 1)) // num_cells
    shown = _shown(result)
    width, height = _size(shown, min(cell / shown[0], 300 / shown[1]))
    block = _section("Key frames" if result.keyframes else "Frames", 84 + height + 64)
    for k, index in enumerate(_thumbnails(result)):
        x = _MARGIN + k * (cell + gap)
        is_target = result.keyframes is not None and index == result.keyframes.target_frame
        if is_target:
            block.box((x - 5, 79, x + width + 5, 84 + height + 5), fill=INK, radius=3)
        block.picture((x, 84), (width, height), _with_masks(result, frames[index], index))
        caption = _joined([f"{index}", _seconds(result.times[index]), *(["target"] if is_target else [])])
        block.text((x, 84 + height + 16), caption, 18, INK if is_target else MUTED)
    return block


def _footer(result: SegmentationResult) -> Block:
    block = Block(_WIDTH, 84)
    block.box((_MARGIN, 0, _RIGHT, 1), fill=LINE)
    facts = [f"videoseg-r1 {result.trace.version}", f"preset {result.trace.preset}", f"seed {result.trace.seed}"]
    block.text((_MARGIN, 26), _joined(facts), 18, MUTED)
    if unreadable_parts(result):
        block.text((_RIGHT, 26), "What stands in brackets no font here can draw; result.json has the text.", 18, MUTED, "ra")
    return block


def _section(title: str, height: int) -> Block:
    block = Block(_WIDTH, height)
    block.box((_MARGIN, 0, _RIGHT, 1), fill=LINE)
    block.text((_MARGIN, 28), title, 24)
    return block


# ---- parts of blocks ----


def _write_words(block: Block, result: SegmentationResult, width: float) -> int:
    """Write thinking, presence, objects and timings below each other; return the height they take."""
    y = 0
    if result.reasoning is not None:
        lines = wrap(result.reasoning.text or "(no thinking text)", 23, width, max_lines=24)
        block.text((0, y), "Thinking", 20, MUTED)
        block.lines((0, y + 36), lines, 23, 33)
        y += 36 + 33 * len(lines) + 26
        block.text((0, y), "Confidence that the target is there", 20, MUTED)
        _draw_bar(block, (0, y + 36), width - 80, result.reasoning.presence, INK)
        block.text((width, y + 41), f"{result.reasoning.presence:.0%}", 20, anchor="rm")
        y += 82
    if result.tracks:
        block.text((0, y), "Objects", 20, MUTED)
        y += 38
    for track in result.tracks[:_MAX_TRACKS]:
        shown = sum(track.present(i) for i in range(result.num_frames))
        block.box((0, y, 18, y + 18), fill=color_of(track.object_id), radius=4)
        name = wrap(track.name or str(track.object_id), 20, width // 3, max_lines=1)[0]
        block.text((32, y + 9), f"{name}   in {shown} of {_counted(result.num_frames, 'frame')}", 20, anchor="lm")
        block.text((width, y + 9), f"score {track.score:.2f}", 20, MUTED, anchor="rm")
        y += 34
    return _write_timings(block, result.timings_s, width, y + 14) if result.timings_s else y


def _write_timings(block: Block, timings_s: Mapping[str, float], width: float, y: int) -> int:
    block.text((0, y), "Time taken", 20, MUTED)
    y += 38
    longest = max(*timings_s.values(), 1e-9)
    in_order = sorted(timings_s, key=lambda stage: (_STAGES.index(stage) if stage in _STAGES else len(_STAGES), stage))
    for stage in in_order[:8]:
        block.text((0, y + 9), wrap(stage, 20, 118, max_lines=1)[0], 20, anchor="lm")
        _draw_bar(block, (128, y + 4), width - 128 - 96, timings_s[stage] / longest, MUTED)
        block.text((width, y + 9), _seconds(timings_s[stage]), 20, MUTED, anchor="rm")
        y += 32
    return y


def _draw_bar(block: Block, at: tuple[float, float], width: float, share: float, color: Color) -> None:
    x, y = at
    block.box((x, y, x + width, y + 10), fill=LINE, radius=5)
    block.box((x, y, x + max(10.0, width * min(1.0, share)), y + 10), fill=color, radius=5)


def _draw_cue(block: Block, cue: Cue, share: tuple[float, float], color: Color) -> None:
    across, down = share

    def at(point: Point) -> tuple[float, float]:
        return _MARGIN + (point.x + 0.5) * across, (point.y + 0.5) * down

    if cue.box is not None:
        x1, y1, x2, y2 = (cue.box.x1 * across, cue.box.y1 * down, cue.box.x2 * across, cue.box.y2 * down)
        block.box((_MARGIN + x1 - 1.5, y1 - 1.5, _MARGIN + x2 + 1.5, y2 + 1.5), outline=WHITE, line=5, radius=4)
        block.box((_MARGIN + x1, y1, _MARGIN + x2, y2), outline=color, line=3, radius=3)
    for point in cue.points:
        _draw_point(block, at(point), positive=True)
    for point in cue.neg_points:
        _draw_point(block, at(point), positive=False)


def _draw_point(block: Block, at: tuple[float, float], positive: bool) -> None:
    """A green plus or a red minus, so that the two differ without colour as well."""
    x, y = at
    block.disc((x, y), 12, _GREEN if positive else _RED)
    block.box((x - 5.5, y - 1.25, x + 5.5, y + 1.25), fill=WHITE)
    if positive:
        block.box((x - 1.25, y - 5.5, x + 1.25, y + 5.5), fill=WHITE)


def _draw_point_legend(block: Block, right: float, y: float) -> None:
    for words, positive in (("beside it", False), ("on the target", True)):
        block.text((right, y), words, 20, MUTED, anchor="rm")
        right -= measure(words, 20) + 22
        _draw_point(block, (right, y), positive)
        right -= 36


def _draw_time_legend(block: Block) -> None:
    right = float(_RIGHT)
    for words in ("reference frames", "target frame", "key segment"):
        block.text((right, 41), words, 18, MUTED, anchor="rm")
        right -= measure(words, 18) + 20
        if words == "key segment":
            block.box((right - 10, 33, right + 10, 49), fill=_AMBER, radius=4)
        elif words == "target frame":
            _mark_target(block, right, 41, 12)
        else:
            block.disc((right, 41), 6, MUTED)
        right -= 40


def _mark_target(block: Block, x: float, y: float, reach: float = 24) -> None:
    block.box((x - 3.5, y - reach, x + 3.5, y + reach), fill=WHITE, radius=3)
    block.box((x - 2, y - reach, x + 2, y + reach), fill=INK, radius=2)


def _draw_votes(block: Block, name: str, vote: Round, place: Callable[[float], float], y: float) -> None:
    """One strip: what was shown in a round, and in it each usable vote as a line of its own."""
    block.text((_MARGIN, y + 7), name, 18, MUTED, anchor="lm")
    block.box((place(vote.shown[0]), y, place(vote.shown[1] + 1), y + 14), fill=LINE, radius=3)
    usable = [interval for interval in vote.votes if interval is not None][:_MAX_VOTES]
    for k, (first, last) in enumerate(usable):
        middle = y + 14 * (k + 0.5) / len(usable)
        block.box((place(first), middle - 1, place(last + 1), middle + 1), fill=_DARK_AMBER)


def _draw_presence(block: Block, track: Track, num_frames: int, span: tuple[float, float], y: float) -> None:
    """One strip: coloured where the object is there. Each pixel of a long clip stands for the frames it covers."""
    x1, x2 = span
    block.text((_MARGIN, y + 7), f"object {track.object_id}", 18, MUTED, anchor="lm")
    block.box((x1, y, x2, y + 14), fill=LINE, radius=3)
    start: int | None = None
    for index in range(num_frames + 1):
        there = index < num_frames and track.present(index)
        if there and start is None:
            start = index
        if not there and start is not None:
            left, right = (x1 + (x2 - x1) * edge / num_frames for edge in (start, index))
            block.box((left, y, max(right, left + 1), y + 14), fill=color_of(track.object_id), radius=3)
            start = None


def _with_masks(result: SegmentationResult, rgb: RgbImage, index: int) -> RgbImage:
    masks = resize_mask(result.masks(index), (rgb.shape[1], rgb.shape[0]))
    return overlay(rgb, masks, [track.object_id for track in result.tracks])


def _shown(result: SegmentationResult) -> tuple[int, int]:
    """(width, height) of a frame in square pixels."""
    return replace(result.info, width=result.size[0], height=result.size[1]).shown_size


def _size(size: tuple[int, int], share: float) -> tuple[int, int]:
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _joined(facts: list[str]) -> str:
    return "  ·  ".join(facts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _seconds(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes}:{seconds % 60:04.1f} min" if minutes else f"{seconds:.1f} s"
