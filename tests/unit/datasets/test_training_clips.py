"""Training readers on folders drawn here in the datasets' own layouts, and what is drawn from their clips."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videoseg_r1.datasets import mevis, ref_davis17, ref_youtube_vos
from videoseg_r1.datasets.training import LEAST_AREA, TrainingClip, draw_sample, training_pick
from videoseg_r1.errors import CorruptVideo, InvalidDocument, SourceNotFound, UnknownName, VideosegError
from videoseg_r1.masks import encode, write_label_png
from videoseg_r1.stages.sampling.hierarchical import SamplerConfig
from videoseg_r1.video.indices import reference_frames

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


def by_name(clips: list[TrainingClip]) -> dict[str, TrainingClip]:
    return {f"{clip.video_id}/{clip.expression_id}": clip for clip in clips}


# ---- Ref-YouTube-VOS, and Ref-DAVIS17 after conversion ----


@pytest.mark.parametrize(("reader", "dataset"), [(ref_youtube_vos, "ref-youtube-vos"), (ref_davis17, "ref-davis17")])
def test_every_expression_is_a_clip_with_the_listed_frames_and_the_masks_of_its_object(tmp_path, reader, dataset):
    clips = by_name(reader.load(converted(tmp_path)))
    assert list(clips) == ["a1b2/0", "a1b2/4", "c3-d4/0", "c3-d4/4"]
    later = clips["a1b2/4"]
    assert (later.dataset, later.query) == (dataset, "what comes later")
    assert [path.name for path in later.frames] == [f"{5 * index:05d}.jpg" for index in range(6)]
    for index in range(6):
        masks = later.read_masks(index)
        assert (masks.dtype, masks.shape) == (np.bool_, (1, HEIGHT, WIDTH))
        np.testing.assert_array_equal(masks[0], labels(index) == 2)
        assert later.rgb(index).mean() == pytest.approx(20 * index, abs=2)
    np.testing.assert_allclose(later.areas[:, 0], [0, 0, *[60 / 1200] * 4])


def test_some_clips_only_need_their_own_files(tmp_path):
    root = converted(tmp_path)
    (root / "train" / "Annotations" / "a1b2" / "00005.png").unlink()
    assert {clip.video_id for clip in ref_youtube_vos.load(root, ["c3-d4"])} == {"c3-d4"}
    with pytest.raises(UnknownName, match="nowhere"):
        ref_youtube_vos.load(root, ["nowhere"])


def test_all_missing_files_are_listed_in_one_error(tmp_path):
    root = converted(tmp_path)
    for name in ("00005", "00010"):
        (root / "train" / "Annotations" / "a1b2" / f"{name}.png").unlink()
    (root / "train" / "JPEGImages" / "c3-d4" / "00000.jpg").unlink()
    with pytest.raises(InvalidDocument) as caught:
        ref_youtube_vos.load(root)
    assert "2 of 6 files, 00005.png the first" in str(caught.value)
    assert "1 of 5 files, 00000.jpg the first" in str(caught.value)


@pytest.mark.parametrize(
    ("clip", "complaint"),
    [
        ({"frames": ["00000"], "expressions": {"0": {"exp": "x", "obj_id": "0"}}}, "Not the number of an object"),
        ({"frames": ["00000"], "expressions": {"0": {"exp": "x", "obj_id": "255"}}}, "Not the number of an object"),
        ({"frames": ["00000"], "expressions": {"0": {"exp": "x"}}}, "obj_id"),
        ({"frames": ["../../secret"], "expressions": {}}, "Not the name of a file"),
        ({"frames": ["00000", "00000"], "expressions": {}}, "listed twice"),
        ({"frames": [], "expressions": {}}, "without frames"),
        ({"expressions": {}}, "frames"),
    ],
)
def test_a_json_that_cannot_be_right_is_refused_by_name(tmp_path, clip, complaint):
    root = converted(tmp_path)
    write_json(root / "meta_expressions" / "train" / "meta_expressions.json", {"videos": {"a1b2": clip}})
    with pytest.raises(InvalidDocument, match=complaint) as caught:
        ref_youtube_vos.load(root)
    assert "a1b2" in str(caught.value)


def test_damaged_pixels_are_named_when_they_are_read(tmp_path):
    root = converted(tmp_path)
    mask = root / "train" / "Annotations" / "a1b2" / "00005.png"
    mask.write_bytes(mask.read_bytes()[:-20])
    (root / "train" / "JPEGImages" / "a1b2" / "00005.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    clip = by_name(ref_youtube_vos.load(root))["a1b2/0"]
    with pytest.raises(InvalidDocument, match=r"00005\.png"):
        clip.read_masks(1)
    with pytest.raises(CorruptVideo, match=r"00005\.jpg"):
        clip.rgb(1)


@pytest.mark.parametrize("reader", [ref_youtube_vos, ref_davis17, mevis])
def test_an_empty_folder_is_no_dataset(tmp_path, reader):
    with pytest.raises(SourceNotFound):
        reader.load(tmp_path)


# ---- Ref-DAVIS17 as it is downloaded ----


def test_text_annotations_become_numbered_expressions(tmp_path):
    clips = by_name(ref_davis17.load(davis_folder(tmp_path)))
    assert list(clips) == [f"bear/{n}" for n in range(4)] + [f"classic-car/{n}" for n in range(8)]
    assert clips["bear/1"].query == "a bear, 1_full_video"
    assert clips["classic-car/6"].query == "un café à roues 2"  # object 2: 4 * 1 + 2
    np.testing.assert_array_equal(clips["classic-car/6"].read_masks(3)[0], labels(3) == 2)
    np.testing.assert_array_equal(clips["classic-car/0"].read_masks(0)[0], labels(0) == 1)


def test_lines_that_cannot_be_read_are_listed(tmp_path):
    root = davis_folder(tmp_path)
    (root / "davis_text_annotations" / "Davis17_annot1.txt").write_text("bear one a bear\nbear 1 'a bear'\n")
    with pytest.raises(InvalidDocument) as caught:
        ref_davis17.load(root)
    assert "Davis17_annot1.txt, line 1" in str(caught.value)
    assert "Davis17_annot1.txt, line 2" in str(caught.value)


def test_a_listed_clip_that_is_not_there_is_named(tmp_path):
    root = davis_folder(tmp_path)
    (root / "DAVIS" / "ImageSets" / "2017" / "train.txt").write_text("bear\ncows\n")
    with pytest.raises(InvalidDocument, match="cows"):
        ref_davis17.load(root)


# ---- MeViS ----


def test_an_expression_of_several_objects_has_a_mask_for_each_in_every_frame(tmp_path):
    clips = by_name(mevis.load(mevis_folder(tmp_path)))
    both, later = clips["zoo/3"], clips["zoo/5"]
    assert (both.query, len(both.frames)) == ("two dogs running", 4)
    for index in range(4):
        np.testing.assert_array_equal(both.read_masks(index), np.stack([labels(index) == 1, labels(index) == 2]))
        np.testing.assert_array_equal(later.read_masks(index), (labels(index) == 2)[None])


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
        mevis.load(root)


def test_run_lengths_that_lie_are_refused_when_they_are_read(tmp_path):
    root = mevis_folder(tmp_path)
    path = root / "train" / "mask_dict.json"
    masks = json.loads(path.read_text())
    masks["21"][3] = {"size": [HEIGHT, WIDTH], "counts": "04d0"}
    masks["17"][2]["size"] = [WIDTH, HEIGHT]
    write_json(path, masks)
    clip = mevis.load(root)[0]
    with pytest.raises(InvalidDocument, match="object 21, frame 3"):
        clip.read_masks(3)
    with pytest.raises(InvalidDocument, match="differ in size"):
        clip.read_masks(2)


# ---- drawing samples ----


def drawn_clip(areas: list[tuple[int, ...]]) -> TrainingClip:
    """A clip of 100 x 100 pixels whose objects have these numbers of pixels in each frame."""

    def read(index: int) -> np.ndarray:
        masks = np.zeros((len(areas[index]), 100, 100), bool)
        for mask, count in zip(masks, areas[index], strict=True):
            mask.reshape(-1)[:count] = True
        return masks

    return TrainingClip("drawn", "v", "0", "it", tuple(Path(f"{n}.jpg") for n in range(len(areas))), read)


def test_the_target_frame_shows_all_targets_and_larger_ones_are_drawn_more_often():
    clip = drawn_clip([(400, 0), (4, 900), (5, 95), (100, 200), (300, 300), (0, 0)])
    rng = np.random.default_rng(0)
    counts = Counter(draw_sample(clip, rng).pick.target_frame for _ in range(3000))
    assert set(counts) == {2, 3, 4}
    for frame, weight in ((2, 0.1), (3, 0.3), (4, 0.6)):
        assert counts[frame] / 3000 == pytest.approx(weight, abs=0.03)


def test_a_clip_in_which_the_targets_are_never_together_gives_nothing():
    least = round(LEAST_AREA * 100 * 100)
    assert draw_sample(drawn_clip([(400, least - 1), (0, 900)]), np.random.default_rng(0)) is None
    assert draw_sample(drawn_clip([(400, least)]), np.random.default_rng(0)) is not None


def test_a_sample_has_the_masks_of_its_target_frame_and_the_same_seed_gives_it_again():
    clip = drawn_clip([(100 + 10 * n, 50) for n in range(30)])
    sample, again = (draw_sample(clip, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(sample.masks, clip.read_masks(sample.pick.target_frame))
    assert again.pick == sample.pick


@pytest.mark.parametrize("num_frames", [1, 2, 7, 36, 200])
def test_the_key_segment_is_as_long_as_the_sampler_makes_it_and_holds_the_target(num_frames):
    rng = np.random.default_rng(num_frames)
    config = SamplerConfig(delta=0.4, key_frames=4)
    places = []
    for _ in range(200):
        target = int(rng.integers(num_frames))
        pick = training_pick(rng, num_frames, target, config)
        start, end = pick.segment
        assert 0 <= start <= target <= end < num_frames
        assert end - start + 1 == max(1, round(0.4 * num_frames))
        assert set(pick.key_frames) <= set(range(start, end + 1))
        assert len(pick.key_frames) == min(4, end - start + 1)
        assert pick.reference_frames == reference_frames(num_frames, target)
        middle = training_pick(rng, num_frames, num_frames // 2, config)  # far from the ends of the video
        places.append((num_frames // 2 - middle.segment[0]) / max(1, end - start))
    if num_frames >= 36:
        assert np.std(places) > 0.15  # jittered, not always in the middle
        assert 0.05 < min(places) < max(places) < 0.95


def test_every_error_is_one_of_ours(tmp_path):
    (tmp_path / "meta_expressions" / "train").mkdir(parents=True)
    (tmp_path / "meta_expressions" / "train" / "meta_expressions.json").write_text('{"videos": [1, 2')
    with pytest.raises(VideosegError, match="not a JSON document"):
        ref_youtube_vos.load(tmp_path)
