"""Reading a DAVIS folder drawn here (and the real one where it is), mosaics and the shuffled text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videoseg_r1.datasets import DATASETS, Sample, load_dataset, mosaic, shuffle_text
from videoseg_r1.datasets.davis import load
from videoseg_r1.datasets.sample import read_png_mask
from videoseg_r1.errors import InputError, InvalidConfig, InvalidDocument, SourceNotFound, UnknownName, UsageError

WIDTH, HEIGHT = 48, 32
LENGTHS = {"ant": 4, "bee": 6, "cow": 5, "doe": 4}
KINDS = ("referring", "referring", "motion", "absent")


def gold_mask(clip: str, index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4 : 10 + index, 3 * (ord(clip[0]) - ord("a")) : 20] = True
    return mask


def write_clip(root: Path, clip: str, num_frames: int) -> dict[str, object]:
    frames = [f"{index:05d}" for index in range(num_frames)]
    for folder in ("JPEGImages", "Annotations"):
        (root / folder / "480p" / clip).mkdir(parents=True)
    for index, frame in enumerate(frames):
        rgb = np.full((HEIGHT, WIDTH, 3), 40 * (ord(clip[0]) - ord("a")) + 5 * index, np.uint8)
        Image.fromarray(rgb).save(root / "JPEGImages" / "480p" / clip / f"{frame}.jpg", quality=95)
        Image.fromarray(gold_mask(clip, index).astype(np.uint8) * 255).save(root / "Annotations" / "480p" / clip / f"{frame}.png")
    expressions = {
        str(k): {"exp": f"{clip} {kind} {k}", "kind": kind, "obj_id": None if kind == "absent" else "1", "best_frame": None}
        for k, kind in enumerate(KINDS)
    }
    expressions["0"] |= {"best_frame": num_frames - 1, "difficulty": {"scene_complexity": 3}}
    return {"frames": frames, "width": WIDTH, "height": HEIGHT, "objects": {"1": {}}, "expressions": expressions}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    meta = {"videos": {clip: write_clip(tmp_path, clip, length) for clip, length in LENGTHS.items()}}
    (tmp_path / "meta_expressions.json").write_text(json.dumps(meta))
    return tmp_path


def change_meta(root: Path, **changes: object) -> None:
    """Set keys of the clip "ant"."""
    path = root / "meta_expressions.json"
    meta = json.loads(path.read_text())
    meta["videos"]["ant"] |= changes
    path.write_text(json.dumps(meta))


def by_name(samples: list[Sample]) -> dict[str, Sample]:
    return {f"{sample.video_id}/{sample.expression_id}": sample for sample in samples}


# ---- reader ----


def test_every_expression_of_every_clip_is_a_sample(root: Path) -> None:
    samples = by_name(load_dataset("davis16", root))
    assert len(samples) == 16
    first, absent = samples["bee/0"], samples["bee/3"]
    assert (first.query, first.kind, first.target_present) == ("bee referring 0", "referring", True)
    assert (first.best_frame, dict(first.difficulty), first.clips) == (5, {"scene_complexity": 3}, ("bee",))
    assert first.frame_names == ("00000", "00001", "00002", "00003", "00004", "00005")
    assert (absent.kind, absent.target_present, absent.best_frame) == ("absent", False, None)


def test_true_masks_are_bool_and_empty_where_the_target_is_absent(root: Path) -> None:
    samples = by_name(load(root))
    for index in range(4):
        mask = samples["ant/1"].gold.mask(index)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, gold_mask("ant", index))
        assert not samples["ant/3"].gold.mask(index).any()
    assert samples["ant/0"].gold.size == samples["ant/3"].gold.size == (WIDTH, HEIGHT)
    assert len(samples["ant/0"].gold) == len(samples["ant/3"].gold) == 4
    assert samples["ant/0"].gold.key == samples["ant/2"].gold.key != samples["ant/3"].gold.key


def test_frames_open_in_the_order_of_the_json(root: Path) -> None:
    with by_name(load(root))["cow/0"].open() as video:
        assert (video.info.width, video.info.height, video.num_frames) == (WIDTH, HEIGHT, 5)
        assert [round(frame.rgb.mean()) for frame in video] == pytest.approx([80, 85, 90, 95, 100], abs=1)


def test_some_clips_only_need_their_own_files(root: Path) -> None:
    (root / "Annotations" / "480p" / "cow" / "00002.png").unlink()
    assert {sample.video_id for sample in load(root, videos=["bee", "ant"])} == {"ant", "bee"}
    with pytest.raises(UnknownName, match="eel"):
        load(root, videos=["eel"])


def test_size_comes_from_the_first_mask_when_the_json_has_none(root: Path) -> None:
    change_meta(root, width=None, height=None)
    assert load(root)[0].gold.size == (WIDTH, HEIGHT)


def test_kind_follows_from_obj_id_when_the_json_has_none(root: Path) -> None:
    change_meta(root, expressions={"7": {"exp": "it", "obj_id": "1"}, "9": {"exp": "nothing", "obj_id": None}})
    samples = by_name(load(root, ["ant"]))
    assert (samples["ant/7"].kind, samples["ant/9"].kind) == ("referring", "absent")


def test_palette_masks_are_read_by_index(root: Path) -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:4], labels[4:8], labels[8:12] = 1, 2, 255
    path = root / "palette.png"
    image = Image.fromarray(labels).convert("P")
    image.putpalette([90, 90, 90] + [0, 0, 0] * 255)  # every object is black, the background is not
    image.save(path)
    for label, rows in ((1, slice(0, 4)), (2, slice(4, 8)), (None, slice(0, 12))):
        mask = read_png_mask(path, (WIDTH, HEIGHT), label)
        assert mask[rows].all()
        assert mask.sum() == mask[rows].size


def test_unknown_dataset_names_the_known_ones(root: Path) -> None:
    with pytest.raises(UnknownName, match="davis16"):
        load_dataset("davis-2016", root)
    assert list(DATASETS) == ["davis16"]


# ---- reader, bad input ----


def test_a_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="meta_expressions"):
        load(tmp_path / "nowhere")


def test_all_file_problems_come_in_one_error(root: Path) -> None:
    masks, frames = root / "Annotations" / "480p", root / "JPEGImages" / "480p"
    (masks / "ant" / "00001.png").unlink()
    (frames / "bee" / "00002.jpg").unlink()
    Image.new("L", (WIDTH, HEIGHT - 1)).save(masks / "cow" / "00000.png")
    Image.new("RGB", (WIDTH + 2, HEIGHT)).save(frames / "cow" / "00003.jpg")
    (masks / "doe" / "00000.png").write_bytes(b"no picture")
    (frames / "doe" / "00001.jpg").write_bytes(b"no picture")
    Image.new("RGB", (WIDTH, HEIGHT)).save(frames / "doe" / "00099.jpg")
    with pytest.raises(InvalidDocument) as caught:
        load(root)
    message = str(caught.value)
    for part in ("ant/00001.png", "bee/00002.jpg", "cow/00000.png", "cow/00003.jpg", "doe/00000.png", "doe/00001.jpg", "doe/00099.jpg"):
        assert part in message
    assert "48 x 31 pixels instead of 48 x 32" in message


def test_a_long_list_of_problems_is_cut_and_counted(root: Path) -> None:
    for path in (root / "Annotations" / "480p").rglob("*.png"):
        path.unlink()
    with pytest.raises(InvalidDocument, match="and 9 more"):
        load(root)


def test_files_that_are_no_frames_do_not_matter(root: Path) -> None:
    folder = root / "JPEGImages" / "480p" / "ant"
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        (folder / name).write_text("x")
    assert len(load(root, ["ant"])) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expressions": {"0": {"exp": "it", "obj_id": "2"}}}, "unknown obj_id '2'"),
        ({"expressions": {"0": {"exp": "it", "obj_id": "one"}}}, "obj_id"),
        ({"expressions": {"0": {"exp": "it", "obj_id": "1", "kind": "absent"}}}, "disagree"),
        ({"expressions": {"0": {"exp": "it", "obj_id": None, "kind": "motion"}}}, "disagree"),
        ({"expressions": {"0": {"exp": "it", "obj_id": "1", "best_frame": 4}}}, "best_frame 4"),
        ({"expressions": {"0": {"exp": "", "obj_id": "1"}}}, "expressions/0/exp"),
        ({"expressions": {"0": {"obj_id": "1"}}}, "expressions/0/exp"),
        ({"expressions": {"../0": {"exp": "it", "obj_id": "1"}}}, r"\.\./0"),
        ({"frames": []}, "frames"),
        ({"frames": ["00000", "00000"]}, "listed twice"),
        ({"frames": ["../../secret"]}, "frames/0"),
    ],
)
def test_a_json_that_does_not_follow_the_schema_names_the_place(root: Path, changes: dict[str, object], message: str) -> None:
    change_meta(root, **changes)
    with pytest.raises(InvalidDocument, match=message) as caught:
        load(root)
    assert "meta_expressions.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", '{"videos": 3}', '{"videos": {"..": {}}}', "\x00\xff"])
def test_other_documents_are_refused(root: Path, text: str) -> None:
    (root / "meta_expressions.json").write_text(text, encoding="latin-1")
    with pytest.raises(InvalidDocument, match="expressions"):
        load(root)


# ---- mosaics ----


def test_a_mosaic_shows_the_next_clip_and_takes_sides_in_turn(root: Path) -> None:
    joined = mosaic(load(root))
    assert len(joined) == 16
    assert [(s.video_id, s.expression_id) for s in joined[:4]] == [
        ("ant+bee", "ant-0"),
        ("bee+ant", "ant-1"),
        ("ant+bee", "ant-2"),
        ("bee+ant", "ant-3"),
    ]
    assert {s.video_id for s in joined if s.clips[0] == "doe"} == {"doe+ant", "ant+doe"}
    assert len({(s.video_id, s.expression_id) for s in joined}) == 16
    assert [s.query for s in joined] == [s.query for s in load(root)]


def test_only_the_own_half_of_a_mosaic_is_true(root: Path) -> None:
    joined = by_name(mosaic(load(root)))
    left, right, absent = joined["ant+bee/ant-0"], joined["bee+ant/ant-1"], joined["bee+ant/ant-3"]
    assert left.gold.size == (2 * WIDTH, HEIGHT)
    np.testing.assert_array_equal(left.gold.mask(3)[:, :WIDTH], gold_mask("ant", 3))
    assert not left.gold.mask(3)[:, WIDTH:].any()
    np.testing.assert_array_equal(right.gold.mask(3)[:, WIDTH:], gold_mask("ant", 3))
    assert not right.gold.mask(3)[:, :WIDTH].any()
    assert not absent.gold.mask(0).any()
    assert left.gold.key == joined["ant+bee/ant-2"].gold.key != right.gold.key


def test_a_mosaic_plays_to_the_shorter_clip(root: Path) -> None:
    sample = by_name(mosaic(load(root)))["bee+cow/bee-0"]
    assert (len(sample.gold), len(sample.frame_names), sample.best_frame) == (5, 5, None)
    with sample.open() as video:
        assert (video.info.width, video.info.height, video.num_frames) == (2 * WIDTH, HEIGHT, 5)
        frames = list(video)
    assert [frame.index for frame in frames] == list(range(5))
    assert round(frames[2].rgb[:, : WIDTH - 4].mean()) == pytest.approx(50, abs=1)
    assert round(frames[2].rgb[:, WIDTH + 4 :].mean()) == pytest.approx(90, abs=1)


def test_a_mosaic_reads_by_index_and_backwards_like_forwards(root: Path) -> None:
    with by_name(mosaic(load(root)))["ant+bee/ant-0"].open() as video:
        forward = list(video)
        for frame, again in zip(forward[::-1], video.frames(reverse=True), strict=True):
            np.testing.assert_array_equal(frame.rgb, again.rgb)
        for index, frame in zip((3, 0, 3), video.read([3, 0, 3]), strict=True):
            assert frame.index == index
            np.testing.assert_array_equal(frame.rgb, forward[index].rgb)
        assert [frame.index for frame in video.frames(1, 3)] == [1, 2]
        assert len(list(video.frames(2, 99))) == 2
        assert list(video.frames(9)) == []


def test_closing_a_mosaic_closes_both_clips(root: Path) -> None:
    video = mosaic(load(root))[0].open()
    halves = video._videos
    video.close()
    for closed in (video, *halves):
        with pytest.raises(UsageError, match="closed"):
            closed.read([0])


def test_three_clips_in_a_row(root: Path) -> None:
    joined = mosaic(load(root), 3)
    assert [s.video_id for s in joined[:4]] == ["ant+bee+cow", "bee+ant+cow", "bee+cow+ant", "ant+bee+cow"]
    sample = joined[2]
    np.testing.assert_array_equal(sample.gold.mask(1)[:, 2 * WIDTH :], gold_mask("ant", 1))
    assert sample.gold.mask(1).sum() == gold_mask("ant", 1).sum()


@pytest.mark.parametrize("num_clips", [0, 1, 5])
def test_impossible_numbers_of_clips_are_refused(root: Path, num_clips: int) -> None:
    with pytest.raises(InvalidConfig, match="at least two"):
        mosaic(load(root), num_clips)


def test_clips_of_different_heights_are_refused(root: Path) -> None:
    meta = json.loads((root / "meta_expressions.json").read_text())
    (root / "Annotations" / "480p" / "ant").rename(root / "old_masks")
    (root / "JPEGImages" / "480p" / "ant").rename(root / "old_frames")
    meta["videos"]["ant"] = {"frames": ["0"], "expressions": {"0": {"exp": "x", "obj_id": "1"}}}
    for folder, name in (("JPEGImages", "0.jpg"), ("Annotations", "0.png")):
        (root / folder / "480p" / "ant").mkdir()
        Image.new("L", (WIDTH, HEIGHT + 8)).save(root / folder / "480p" / "ant" / name)
    (root / "meta_expressions.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="ant: 40"):
        mosaic(load(root))


# ---- shuffled text ----


@pytest.mark.parametrize("seed", range(8))
def test_shuffled_text_comes_from_another_clip_and_the_truth_stays(root: Path, seed: int) -> None:
    samples = load(root)
    shuffled = shuffle_text(samples, seed)
    assert [(s.video_id, s.expression_id) for s in shuffled] == [(s.video_id, s.expression_id) for s in samples if s.target_present]
    givers = {}
    for sample, original in zip(shuffled, [s for s in samples if s.target_present], strict=True):
        giver = sample.query.split()[0]
        assert giver != sample.video_id
        assert sample.query_from.startswith(giver + "/")
        assert (sample.kind, sample.gold) == (original.kind, original.gold)
        assert sample.query.split()[1] == sample.kind
        givers.setdefault(sample.video_id, set()).add(giver)
    assert all(len(names) == 1 for names in givers.values())
    assert len(set.union(*givers.values())) == len(LENGTHS)
    assert len({s.query for s in shuffled}) == len(shuffled)


def test_shuffling_is_the_same_for_the_same_seed_only(root: Path) -> None:
    samples = load(root)
    queries = {seed: tuple(s.query for s in shuffle_text(samples, seed)) for seed in range(12)}
    assert queries[3] == tuple(s.query for s in shuffle_text(samples, 3))
    assert len(set(queries.values())) > 3


@pytest.mark.parametrize("seed", range(8))
def test_shuffled_text_of_a_mosaic_means_neither_half(root: Path, seed: int) -> None:
    shuffled = shuffle_text(mosaic(load(root)), seed)
    assert len(shuffled) == 12  # the absent ones are left out
    for sample in shuffled:
        assert sample.query.split()[0] not in sample.video_id.split("+")


def test_too_few_clips_cannot_exchange_their_text(root: Path) -> None:
    two = load(root, ["ant", "bee"])
    assert {s.query.split()[0] for s in shuffle_text(two) if s.video_id == "ant"} == {"bee"}
    with pytest.raises(InputError, match="too few clips"):
        shuffle_text(mosaic(two))
    with pytest.raises(InputError, match="too few clips"):
        shuffle_text(load(root, ["ant"]))


# ---- the real clips ----


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[Sample]:
    return load(shared_data / "davis16_dev")


def test_the_development_clips(real: list[Sample], shared_data: Path) -> None:
    assert len(real) == 60
    assert sum(s.target_present for s in real) == 50
    swan = by_name(real)["blackswan/4"]
    assert (swan.kind, len(swan.gold), swan.gold.size, swan.best_frame) == ("reasoning", 50, (854, 480), 0)
    path = shared_data / "davis16_dev" / "Annotations" / "480p" / "blackswan" / "00007.png"
    np.testing.assert_array_equal(swan.gold.mask(7), np.asarray(Image.open(path)) > 127)


def test_a_real_mosaic(real: list[Sample], shared_data: Path) -> None:
    sample = by_name(mosaic(real))["dog+car-shadow/car-shadow-1"]
    assert (sample.gold.size, len(sample.gold)) == ((1708, 480), 40)
    with sample.open() as video:
        frame = video.read([39])[0]
    assert frame.rgb.shape == (480, 1708, 3)
    own = np.asarray(Image.open(shared_data / "davis16_dev" / "JPEGImages" / "480p" / "car-shadow" / "00039.jpg")).astype(int)
    assert np.abs(frame.rgb[:, 854:].astype(int) - own).mean() < 3
