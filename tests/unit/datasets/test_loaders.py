"""Loaders of training sets on folders drawn here in the datasets' own layouts: frames, expressions, masks, and every fault by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videoseg_r1.datasets.clip import Clip
from videoseg_r1.datasets.mevis import load_mevis
from videoseg_r1.datasets.ref_davis17 import load_ref_davis17
from videoseg_r1.datasets.ref_youtube_vos import load_ref_youtube_vos
from videoseg_r1.datasets.training import TrainingSource, training_sources
from videoseg_r1.errors import CorruptVideo, InvalidDocument, SourceNotFound, UnknownName, VideosegError
from videoseg_r1.masks import encode, write_label_png

WIDTH, HEIGHT = 40, 30
LENGTHS = {"a1b2": 6, "c3-d4": 5}
VOID = 255


def labels(index: int) -> np.ndarray:
    """Object 1 grows with the frame, object 2 comes in frame 2, a void stripe lies between."""
    picture = np.zeros((HEIGHT, WIDTH), np.uint8)
    picture[2:8, 2 : 6 + 3 * index] = 1
    picture[14, :] = VOID
    if index >= 2:
        picture[20:26, 10:20] = 2
    return picture


def write_frames(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for index, name in enumerate(names):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 20 * index, np.uint8)).save(folder / f"{name}.jpg", quality=95)


def write_masks(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for index, name in enumerate(names):
        write_label_png(folder / f"{name}.png", labels(index))


def write_json(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def converted(root: Path) -> Path:
    """Ref-YouTube-VOS, and Ref-DAVIS17 after conversion: gaps in the numbers of expressions and frames, one frame not listed."""
    videos = {}
    for clip, length in LENGTHS.items():
        names = [f"{5 * index:05d}" for index in range(length)]
        write_frames(root / "train" / "JPEGImages" / clip, [*names, "99999"])
        write_masks(root / "train" / "Annotations" / clip, names)
        expressions = {"0": {"exp": "a growing kite", "obj_id": "1"}, "4": {"exp": "what comes later", "obj_id": "2"}}
        videos[clip] = {"frames": names, "expressions": expressions}
    write_json(root / "meta_expressions" / "train" / "meta_expressions.json", {"videos": videos})
    write_json(root / "train" / "meta.json", {"videos": {}})
    return root


def mevis_folder(root: Path) -> Path:
    names = ["00000", "00001", "00002", "00003"]
    write_frames(root / "train" / "JPEGImages" / "zoo", names)
    expressions = {
        "3": {"exp": "two dogs running", "obj_id": [0, 4], "anno_id": [17, 21]},
        "5": {"exp": "the one that comes later", "obj_id": [4], "anno_id": [21]},
    }
    videos = {"zoo": {"vid_id": 7, "frames": names, "expressions": expressions}}
    write_json(root / "train" / "meta_expressions.json", {"videos": videos})
    masks = {
        "17": [encode(labels(index) == 1) for index in range(4)],
        "21": [encode(labels(index) == 2) if index >= 2 else None for index in range(4)],
    }
    write_json(root / "train" / "mask_dict.json", masks)
    return root


def davis_folder(root: Path) -> Path:
    davis, texts = root / "DAVIS", root / "davis_text_annotations"
    names = ["00000", "00001", "00002", "00003"]
    for clip in ("classic-car", "bear"):
        write_frames(davis / "JPEGImages" / "480p" / clip, names)
        write_masks(davis / "Annotations_unsupervised" / "480p" / clip, names)
    lists = davis / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("bear\nclassic-car\n")
    texts.mkdir()
    for annotator in (1, 2):
        for kind in ("", "_full_video"):
            lines = [
                f'bear 1 "a bear, {annotator}{kind}"',
                f'clasic-car 2 "un café \xe0 roues {annotator}{kind}"',
                f'clasic-car 1 "it{kind}"',
            ]
            text = "\n".join([*lines, 'gone 1 "of the validation set"', ""])
            (texts / f"Davis17_annot{annotator}{kind}.txt").write_bytes(text.encode("latin-1" if annotator == 2 else "utf-8"))
    return root


def by_name(clips: list[Clip]) -> dict[str, TrainingSource]:
    return {f"{source.clip.name}/{source.expression.id}": source for source in training_sources(clips)}


# ---- Ref-YouTube-VOS, and Ref-DAVIS17 after conversion ----


@pytest.mark.parametrize(("load", "dataset"), [(load_ref_youtube_vos, "ref_youtube_vos"), (load_ref_davis17, "ref_davis17")])
def test_every_expression_is_a_clip_with_the_listed_frames_and_the_masks_of_its_object(tmp_path, load, dataset):
    clips = by_name(load(converted(tmp_path)))
    assert list(clips) == ["a1b2/0", "a1b2/4", "c3-d4/0", "c3-d4/4"]
    later = clips["a1b2/4"]
    assert (later.clip.dataset, later.clip.split, later.expression.text) == (dataset, "train", "what comes later")
    assert later.clip.frame_names == tuple(f"{5 * index:05d}" for index in range(6))
    assert (later.clip.masks.size, tuple(later.clip.masks.frames(["2"]))) == ((WIDTH, HEIGHT), tuple(range(6)))
    for index in range(6):
        masks = later.masks(index)
        assert (masks.dtype, masks.shape) == (np.bool_, (1, HEIGHT, WIDTH))
        np.testing.assert_array_equal(masks[0], labels(index) == 2)
    np.testing.assert_allclose(later.areas[:, 0], [0, 0, *[60 / 1200] * 4])
    with later.clip.open() as video:
        assert (video.info.width, video.info.height, video.num_frames) == (WIDTH, HEIGHT, 6)
        assert [frame.rgb.mean() for frame in video] == pytest.approx([20 * index for index in range(6)], abs=2)


def test_some_clips_only_need_their_own_files(tmp_path):
    root = converted(tmp_path)
    (root / "train" / "Annotations" / "a1b2" / "00005.png").unlink()
    assert {clip.name for clip in load_ref_youtube_vos(root, ["c3-d4"])} == {"c3-d4"}
    with pytest.raises(UnknownName, match="nowhere"):
        load_ref_youtube_vos(root, ["nowhere"])


def test_all_missing_files_are_listed_in_one_error(tmp_path):
    root = converted(tmp_path)
    for name in ("00005", "00010"):
        (root / "train" / "Annotations" / "a1b2" / f"{name}.png").unlink()
    (root / "train" / "JPEGImages" / "c3-d4" / "00000.jpg").unlink()
    with pytest.raises(InvalidDocument) as caught:
        load_ref_youtube_vos(root)
    assert "2 of 6 files, 00005.png the first" in str(caught.value)
    assert "1 of 5 files, 00000.jpg the first" in str(caught.value)


@pytest.mark.parametrize(
    ("clip", "complaint"),
    [
        ({"frames": ["00000"], "expressions": {"0": {"exp": "x", "obj_id": "0"}}}, "not the number of an object"),
        ({"frames": ["00000"], "expressions": {"0": {"exp": "x", "obj_id": "255"}}}, "not the number of an object"),
        ({"frames": ["00000"], "expressions": {"0": {"exp": "x"}}}, "obj_id"),
        ({"frames": ["../../secret"], "expressions": {}}, "not the name of a file"),
        ({"frames": ["00000", "00000"], "expressions": {}}, "listed twice"),
        ({"frames": [], "expressions": {}}, "without frames"),
        ({"expressions": {}}, "frames"),
    ],
)
def test_a_json_that_cannot_be_right_is_refused_by_name(tmp_path, clip, complaint):
    root = converted(tmp_path)
    write_json(root / "meta_expressions" / "train" / "meta_expressions.json", {"videos": {"a1b2": clip}})
    with pytest.raises(InvalidDocument, match=complaint) as caught:
        load_ref_youtube_vos(root)
    assert "a1b2" in str(caught.value)


def test_damaged_pixels_are_named_when_they_are_read(tmp_path):
    root = converted(tmp_path)
    mask = root / "train" / "Annotations" / "a1b2" / "00005.png"
    mask.write_bytes(mask.read_bytes()[:-20])
    (root / "train" / "JPEGImages" / "a1b2" / "00005.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    source = by_name(load_ref_youtube_vos(root))["a1b2/0"]
    with pytest.raises(InvalidDocument, match=r"00005\.png"):
        source.masks(1)
    with source.clip.open() as video, pytest.raises(CorruptVideo, match=r"00005\.jpg"):
        video.read([1])


@pytest.mark.parametrize("load", [load_ref_youtube_vos, load_ref_davis17, load_mevis])
def test_an_empty_folder_is_no_dataset(tmp_path, load):
    with pytest.raises(SourceNotFound):
        load(tmp_path)


# ---- Ref-DAVIS17 as it is downloaded ----


def test_text_annotations_become_numbered_expressions(tmp_path):
    clips = by_name(load_ref_davis17(davis_folder(tmp_path)))
    assert list(clips) == [f"bear/{n}" for n in range(4)] + [f"classic-car/{n}" for n in range(8)]
    assert clips["bear/1"].expression.text == "a bear, 1_full_video"
    assert clips["classic-car/6"].expression.text == "un café à roues 2"  # object 2: 4 * 1 + 2
    np.testing.assert_array_equal(clips["classic-car/6"].masks(3)[0], labels(3) == 2)
    np.testing.assert_array_equal(clips["classic-car/0"].masks(0)[0], labels(0) == 1)


def test_lines_that_cannot_be_read_are_listed(tmp_path):
    root = davis_folder(tmp_path)
    (root / "davis_text_annotations" / "Davis17_annot1.txt").write_text("bear one a bear\nbear 1 'a bear'\n")
    with pytest.raises(InvalidDocument) as caught:
        load_ref_davis17(root)
    assert "Davis17_annot1.txt, line 1" in str(caught.value)
    assert "Davis17_annot1.txt, line 2" in str(caught.value)


def test_a_listed_clip_that_is_not_there_is_named(tmp_path):
    root = davis_folder(tmp_path)
    (root / "DAVIS" / "ImageSets" / "2017" / "train.txt").write_text("bear\ncows\n")
    with pytest.raises(InvalidDocument, match="cows"):
        load_ref_davis17(root)


# ---- MeViS ----


def test_an_expression_of_several_objects_has_a_mask_for_each_in_every_frame(tmp_path):
    clips = by_name(load_mevis(mevis_folder(tmp_path)))
    both, later = clips["zoo/3"], clips["zoo/5"]
    assert (both.expression.text, len(both.clip.frame_names)) == ("two dogs running", 4)
    for index in range(4):
        np.testing.assert_array_equal(both.masks(index), np.stack([labels(index) == 1, labels(index) == 2]))
        np.testing.assert_array_equal(later.masks(index), (labels(index) == 2)[None])


@pytest.mark.parametrize(
    ("masks", "complaint"),
    [
        ({"17": [None] * 4, "21": []}, "object 17: all are null"),
        ({"17": []}, "object 21: 0 for 4 frames"),
    ],
)
def test_missing_masks_are_listed_by_object(tmp_path, masks, complaint):
    root = mevis_folder(tmp_path)
    write_json(root / "train" / "mask_dict.json", masks)
    with pytest.raises(InvalidDocument, match=complaint):
        load_mevis(root)


def test_run_lengths_that_lie_are_refused_when_they_are_read(tmp_path):
    root = mevis_folder(tmp_path)
    path = root / "train" / "mask_dict.json"
    masks = json.loads(path.read_text())
    masks["21"][3] = {"size": [HEIGHT, WIDTH], "counts": "04d0"}
    masks["17"][2]["size"] = [WIDTH, HEIGHT]
    write_json(path, masks)
    source = training_sources(load_mevis(root))[0]
    with pytest.raises(InvalidDocument, match="object 21, frame 3"):
        source.masks(3)
    with pytest.raises(InvalidDocument, match="differ in size"):
        source.masks(2)


def test_every_error_is_one_of_ours(tmp_path):
    (tmp_path / "meta_expressions" / "train").mkdir(parents=True)
    (tmp_path / "meta_expressions" / "train" / "meta_expressions.json").write_text('{"videos": [1, 2')
    with pytest.raises(VideosegError, match="not a JSON document"):
        load_ref_youtube_vos(tmp_path)
