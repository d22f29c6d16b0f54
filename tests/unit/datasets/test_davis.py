"""Loading folders of DAVIS-2016 and DAVIS-2017 drawn here, and the real ones where they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.drawn_davis import HEIGHT, WIDTH, by_name, draw_davis, gold_mask, load
from helpers.drawn_davis17 import LENGTH, VOID_ROWS, draw_davis17, labels_of
from videoseg_r1.datasets.davis import load_davis17
from videoseg_r1.datasets.mask_files import read_png_mask
from videoseg_r1.datasets.sample import samples_of
from videoseg_r1.errors import InvalidDocument, SourceNotFound, UnknownName


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_davis(tmp_path)


def change_meta(root: Path, **changes: object) -> None:
    """Set keys of the clip "ant"."""
    path = root / "meta_expressions.json"
    meta = json.loads(path.read_text())
    meta["videos"]["ant"] |= changes
    path.write_text(json.dumps(meta))


# ---- a good folder ----


def test_every_expression_of_every_clip_is_a_sample(root: Path) -> None:
    samples = by_name(load(root))
    assert len(samples) == 16
    first, absent = samples["bee/0"], samples["bee/3"]
    assert (first.query, first.kind, first.target_present) == ("bee referring 0", "referring", True)
    assert (first.expression.best_frame, dict(first.expression.difficulty), first.shown) == (5, {"scene_complexity": 3}, ("bee",))
    assert first.frame_names == ("00000", "00001", "00002", "00003", "00004", "00005")
    assert (absent.kind, absent.target_present, absent.expression.best_frame) == ("absent", False, None)


def test_true_masks_are_bool_and_empty_where_the_target_is_absent(root: Path) -> None:
    samples = by_name(load(root))
    for index in range(4):
        mask = samples["ant/1"].mask(index)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, gold_mask("ant", index))
        assert not samples["ant/3"].mask(index).any()
    assert samples["ant/0"].size == samples["ant/3"].size == (WIDTH, HEIGHT)
    assert samples["ant/0"].num_frames == samples["ant/3"].num_frames == 4
    assert samples["ant/0"].truth_key == samples["ant/2"].truth_key != samples["ant/3"].truth_key


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
    assert load(root)[0].size == (WIDTH, HEIGHT)


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


# ---- several objects ----


def test_expressions_mean_one_object_several_or_none(tmp_path: Path) -> None:
    clips = load_davis17(draw_davis17(tmp_path))
    assert [(clip.dataset, clip.name, clip.objects) for clip in clips] == [("davis17", "fox", ("2", "5", "7")), ("davis17", "gnu", ("1",))]
    samples = by_name(samples_of(clips))
    assert {name: sample.expression.object_ids for name, sample in samples.items()} == {
        "fox/0": ("2",),
        "fox/1": ("7",),
        "fox/2": ("2", "7"),
        "fox/3": (),
        "fox/4": ("2",),
        "gnu/0": ("1",),
    }
    assert [samples[f"fox/{k}"].kind for k in range(5)] == ["referring", "motion", "several", "absent", "reasoning"]
    for index in range(LENGTH):
        np.testing.assert_array_equal(samples["fox/2"].mask(index), np.isin(labels_of("fox", index), (2, 7)))
        assert not samples["fox/3"].mask(index).any()


def test_void_pixels_do_not_count(tmp_path: Path) -> None:
    samples = by_name(samples_of(load_davis17(draw_davis17(tmp_path))))
    void = samples["fox/0"].ignored(0)
    assert void is not None
    assert void[:VOID_ROWS].all()
    assert not void[VOID_ROWS:].any()
    assert samples["gnu/0"].ignored(0) is None


def test_white_in_grey_masks_is_an_object_and_not_void(root: Path) -> None:
    sample = by_name(load(root))["ant/0"]
    assert sample.mask(0).any()
    assert sample.ignored(0) is None


# ---- bad input ----


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
        ({"expressions": {"0": {"exp": "it", "obj_id": "1,2"}}}, "unknown obj_id '2'"),
        ({"expressions": {"0": {"exp": "it", "obj_id": "1, 1"}}}, "obj_id"),
        ({"expressions": {"0": {"exp": "it", "obj_id": "1,1"}}}, "names an object twice"),
        ({"expressions": {"0": {"exp": "it", "obj_id": "255"}}}, "obj_id"),
        ({"objects": {"255": {}}}, "objects/255"),
        ({"objects": {"01": {}}}, "objects/01"),
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


# ---- the real clips ----


def test_the_development_clips(shared_data: Path) -> None:
    real = load(shared_data / "davis16_dev")
    assert len(real) == 60
    assert sum(s.target_present for s in real) == 50
    swan = by_name(real)["blackswan/4"]
    assert (swan.kind, swan.num_frames, swan.size, swan.expression.best_frame) == ("reasoning", 50, (854, 480), 0)
    path = shared_data / "davis16_dev" / "Annotations" / "480p" / "blackswan" / "00007.png"
    np.testing.assert_array_equal(swan.mask(7), np.asarray(Image.open(path)) > 127)


def test_the_clips_of_several_objects(shared_data: Path) -> None:
    clips = load_davis17(shared_data / "multi_dev")
    assert {clip.name: clip.objects for clip in clips} == {
        "dogs-jump": ("1", "2", "3"),
        "train": ("1", "2", "3", "4"),
        "soapbox": ("1", "2", "3"),
        "horsejump-high": ("1", "2"),
    }
    samples = samples_of(clips)
    assert (len(samples), sum(sample.target_present for sample in samples)) == (32, 28)
    wagons = by_name(samples)["train/6"]
    path = shared_data / "multi_dev" / "Annotations" / "480p" / "train" / "00011.png"
    np.testing.assert_array_equal(wagons.mask(11), np.isin(np.asarray(Image.open(path)), (2, 3, 4)))
