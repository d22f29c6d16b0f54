"""Every format holds the masks it was given, at the times of the source; saved runs come back as they were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from helpers.results import result_of
from videoseg_r1.errors import InvalidDocument, OutputExists, ShapeMismatch, SourceNotFound, UnknownName, UsageError
from videoseg_r1.masks import encode, read_mask
from videoseg_r1.output.reload import load_masks, read_run
from videoseg_r1.output.result import SegmentationResult
from videoseg_r1.output.save import EXPORTS, frame_names, save
from videoseg_r1.output.trace import Trace, TracedVideo
from videoseg_r1.types import Cue, KeyframePick, Point, Reasoning, VideoInfo
from videoseg_r1.video import VideoWriter, open_video

WIDTH, HEIGHT, NUM = 96, 64, 9
TIMES = (0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.8, 0.9)


def draw() -> tuple[np.ndarray, np.ndarray]:
    """Frames with a bright square on dark ground, (T, H, W, 3), and two masks: the square, and a bar that is there in half of them."""
    frames, masks = np.full((NUM, HEIGHT, WIDTH, 3), 40, np.uint8), np.zeros((NUM, 2, HEIGHT, WIDTH), bool)
    for i in range(NUM):
        masks[i, 0, 16:48, 4 + 6 * i : 36 + 6 * i] = True
        masks[i, 1, 40:60, 8:90] = i % 2 == 0
        frames[i][masks[i, 0]] = 220
    return frames, masks


def result_for(source: Any, info: VideoInfo, masks: np.ndarray, times: tuple[float, ...] = TIMES) -> SegmentationResult:
    """A result of masks (T, N, H, W), put last frame first, with a confidence that grows from frame to frame."""
    num, num_objects, height, width = masks.shape
    pick = KeyframePick(num, (0, num - 1), num // 2, (0, num - 1), (0,))
    reasoning = Reasoning("Only the square is bright.", (Cue(None, (Point(20.0, 30.0),)),), 6, presence=0.75)
    video = TracedVideo(Path(info.source).name, num, (width, height))
    return result_of(
        Trace("0.1.0", "the <b>square</b>", "lite", 3, video, pick, reasoning),
        {i: masks[i] for i in reversed(range(num))},
        confidence={i: (0.5 + 0.05 * i,) * num_objects for i in range(num)},
        times=times,
        info=info,
        source=source,
        timings_s={"reason": 0.5},
    )


@pytest.fixture
def result(tmp_path: Path) -> SegmentationResult:
    """A result for a video file with uneven times and two overlapping objects."""
    frames, masks = draw()
    path = tmp_path / "in" / "square.mp4"
    path.parent.mkdir()
    with VideoWriter(path, fps=10) as writer:
        for frame, time_s in zip(frames, TIMES, strict=True):
            writer.write(frame, time_s)
    with open_video(path) as video:
        return result_for(path, video.info, masks, video.times)


def decoded(path: Path, pixel_format: str) -> Iterator[tuple[float, np.ndarray]]:
    """Frames and times of a file, straight from PyAV: alpha included, which our own reader drops."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name == "vp9":
            context = av.CodecContext.create("libvpx-vp9", "r")
            packets = (frame for packet in container.demux(stream) for frame in context.decode(packet))
        else:
            packets = container.decode(stream)
        for frame in packets:
            yield float(frame.pts * stream.time_base), frame.to_ndarray(format=pixel_format)


class TestVideos:
    def test_overlay_shows_objects_at_the_times_of_the_source(self, result: SegmentationResult, tmp_path: Path) -> None:
        path = result.save(tmp_path / "out", ["overlay"])["overlay"]
        with open_video(path) as video:
            assert video.times == pytest.approx(result.times, abs=2e-3)
            frames = [frame.rgb.astype(int) for frame in video]
        assert len(frames) == NUM
        for i, frame in enumerate(frames):
            only_first = result.tracks[0].mask(i) & ~result.tracks[1].mask(i)
            inside = frame[only_first].mean(axis=0)
            assert inside[2] - inside[0] > 30  # object 1 is blue on what was grey
            outside = frame[~result.mask(i)].mean(axis=0)
            assert np.ptp(outside) < 25

    def test_matte_is_the_union(self, result: SegmentationResult, tmp_path: Path) -> None:
        path = result.save(tmp_path / "out", ["matte"])["matte"]
        with open_video(path) as video:
            assert video.num_frames == NUM
            for frame in video:
                assert ((frame.rgb[..., 0] > 127) == result.mask(frame.index)).mean() > 0.99

    @pytest.mark.parametrize(("name", "ending"), [("cutout", ".webm"), ("prores", ".mov")])
    def test_alpha_is_the_union_and_the_rest_is_gone(self, result: SegmentationResult, tmp_path: Path, name: str, ending: str) -> None:
        path = result.save(tmp_path / "out", [name])[name]
        assert path.suffix == ending
        seen = list(decoded(path, "rgba"))
        assert [time for time, _ in seen] == pytest.approx(result.times, abs=2e-3)
        for i, (_, rgba) in enumerate(seen):
            mask = result.mask(i)
            assert ((rgba[..., 3] > 127) == mask).mean() > 0.98
            assert abs(int(np.median(rgba[result.tracks[0].mask(i)][:, 0])) - 220) < 8

    def test_sound_is_copied_into_the_overlay(self, tmp_path: Path, result: SegmentationResult) -> None:
        path = tmp_path / "loud.mp4"
        with av.open(str(path), "w") as container:
            picture, sound = container.add_stream("libx264", rate=10), container.add_stream("aac", rate=16_000)
            picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for frame in draw()[0]:
                container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            tone = np.sin(np.arange(16_000) / 9).astype(np.float32)[None]
            heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            heard.sample_rate, heard.pts = 16_000, 0
            container.mux([*picture.encode(None), *sound.encode(heard), *sound.encode(None)])
        with open_video(path) as video:
            assert video.info.has_audio
            loud = replace(result, info=video.info, source=path, times=video.times)
        saved = loud.save(tmp_path / "out", ["overlay", "matte"])
        with av.open(str(saved["overlay"])) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) > 12_000
        with av.open(str(saved["matte"])) as container:
            assert not container.streams.audio

    def test_all_formats_share_one_pass(self, result: SegmentationResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[list[int]] = []
        reopen = SegmentationResult.reopen

        def counting(self: SegmentationResult) -> Any:
            video, indices = reopen(self), list[int]()
            opened.append(indices)
            frames = video.frames

            def counted(*args: Any, **options: Any) -> Iterator[Any]:
                for frame in frames(*args, **options):
                    indices.append(frame.index)
                    yield frame

            monkeypatch.setattr(video, "frames", counted)
            return video

        monkeypatch.setattr(SegmentationResult, "reopen", counting)
        result.save(tmp_path / "out", list(EXPORTS))
        assert [indices for indices in opened if indices] == [list(range(NUM))]

    def test_an_array_a_folder_and_one_picture(self, tmp_path: Path) -> None:
        frames, masks = draw()
        folder = tmp_path / "frames"
        folder.mkdir()
        for i in range(3):
            Image.fromarray(frames[i]).save(folder / f"shot_{9 + i}.png")
        Image.fromarray(frames[0]).save(tmp_path / "one.png")
        for source, num in ((frames[:3], 3), (folder, 3), (tmp_path / "one.png", 1)):
            with open_video(source) as video:
                made = result_for(source, video.info, masks[:num], video.times)
            saved = made.save(tmp_path / f"out{num}{type(source).__name__}", ["overlay", "cutout", "png", "card"])
            with open_video(saved["overlay"]) as video:
                assert video.num_frames == num
            expected = ["shot_9.png", "shot_10.png", "shot_11.png"] if source is folder else [f"{i:05d}.png" for i in range(num)]
            assert sorted(path.name for path in saved["png"].iterdir()) == sorted(expected)


class TestPictures:
    def test_label_pictures_hold_object_numbers(self, result: SegmentationResult, tmp_path: Path) -> None:
        folder = result.save(tmp_path / "out", ["png"])["png"]
        assert [path.name for path in sorted(folder.iterdir())] == [f"{i:05d}.png" for i in range(NUM)]
        for i in range(NUM):
            with Image.open(folder / f"{i:05d}.png") as picture:
                assert (picture.mode, picture.size) == ("P", (WIDTH, HEIGHT))
            assert (read_mask(folder / f"{i:05d}.png") == result.label_map(i)).all()

    @pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", "..", "", "nul\0", "C:x"])
    def test_names_that_could_lead_elsewhere_are_not_used(self, result: SegmentationResult, name: str) -> None:
        info = replace(result.info, frame_names=(name, *(f"f{i}" for i in range(NUM - 1))))
        assert frame_names(replace(result, info=info)) == [f"{i:05d}" for i in range(NUM)]

    def test_card_is_a_picture(self, result: SegmentationResult, tmp_path: Path) -> None:
        with Image.open(result.save(tmp_path / "out", ["card"])["card"]) as card:
            assert card.format == "PNG"
            assert card.width == 1600


class TestDocuments:
    def test_rle_follows_youtube_vis(self, result: SegmentationResult, tmp_path: Path) -> None:
        document = json.loads(result.save(tmp_path / "out", ["rle"])["rle"].read_text())
        video, annotations = document["videos"][0], document["annotations"]
        assert (video["width"], video["height"], video["length"]) == (WIDTH, HEIGHT, NUM)
        assert video["times_s"] == list(result.times)
        assert [annotation["id"] for annotation in annotations] == [1, 2]
        assert all(annotation["video_id"] == video["id"] for annotation in annotations)
        assert annotations[1]["segmentations"][1] is None
        assert annotations[0]["score"] == pytest.approx(0.7)
        for i in range(NUM):
            rle = annotations[0]["segmentations"][i]
            assert rle == encode(result.tracks[0].mask(i))
            assert coco.area(rle) == result.tracks[0].mask(i).sum()

    def test_result_json_holds_the_reasoning(self, result: SegmentationResult, tmp_path: Path) -> None:
        document = json.loads(result.save(tmp_path / "out", ["json"])["json"].read_text(encoding="utf-8"))
        assert document == result.to_dict()
        assert document["reasoning"]["text"] == "Only the square is bright."
        assert document["timings_s"] == {"reason": 0.5}
        assert document["query"] == "the <b>square</b>"

    def test_trace_holds_no_times_of_the_run(self, result: SegmentationResult, tmp_path: Path) -> None:
        path = result.save(tmp_path / "out", ["trace"])["trace"]
        slower = replace(result, timings_s={"reason": 99.0}).save(tmp_path / "again", ["trace"])["trace"]
        assert path.read_bytes() == slower.read_bytes() == result.trace.to_json().encode()
        assert Trace.read(path) == result.trace


class TestSaving:
    def test_returns_where_everything_is_and_leaves_nothing_else(self, result: SegmentationResult, tmp_path: Path) -> None:
        saved = save(result, tmp_path / "new" / "out", list(EXPORTS))
        assert saved == {name: tmp_path / "new" / "out" / export.file_name for name, export in EXPORTS.items()}
        assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(export.file_name for export in EXPORTS.values())

    def test_formats_may_be_one_text_and_are_made_once(self, result: SegmentationResult, tmp_path: Path) -> None:
        assert list(save(result, tmp_path / "out", "json,trace,json")) == ["json", "trace"]

    def test_unknown_formats_are_refused_with_a_suggestion(self, result: SegmentationResult, tmp_path: Path) -> None:
        with pytest.raises(UnknownName, match="did you mean overlay"):
            save(result, tmp_path / "out", ["json", "overlays"])
        with pytest.raises(UsageError, match="no format"):
            save(result, tmp_path / "out", [])
        assert not (tmp_path / "out").exists()

    def test_outputs_are_not_overwritten_unless_asked(self, result: SegmentationResult, tmp_path: Path) -> None:
        save(result, tmp_path / "out", ["png", "json"])
        (tmp_path / "out" / "masks" / "mine.txt").write_text("x")
        before = (tmp_path / "out" / "result.json").read_bytes()
        with pytest.raises(OutputExists, match=r"masks, result\.json"):
            save(replace(result, timings_s={}), tmp_path / "out", ["png", "json", "trace"])
        assert (tmp_path / "out" / "result.json").read_bytes() == before
        assert not (tmp_path / "out" / "trace.json").exists()
        save(replace(result, timings_s={}), tmp_path / "out", ["png", "json", "trace"], overwrite=True)
        assert (tmp_path / "out" / "result.json").read_bytes() != before
        assert not (tmp_path / "out" / "masks" / "mine.txt").exists()
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["masks", "result.json", "trace.json"]

    def test_no_target_can_be_saved_in_every_format(self, result: SegmentationResult, tmp_path: Path) -> None:
        none = replace(result, tracks=())
        saved = none.save(tmp_path / "out", list(EXPORTS))
        assert not any(read_mask(path).any() for path in saved["png"].iterdir())
        with open_video(saved["matte"]) as video:
            assert max(int(frame.rgb.max()) for frame in video) < 8
        back = read_run(tmp_path / "out")
        assert back.tracks == ()
        assert not back.mask(0).any()

    def test_formats_without_pictures_need_no_source(self, result: SegmentationResult, tmp_path: Path) -> None:
        streamed = replace(result, source=None)
        assert set(streamed.save(tmp_path / "out", ["png", "rle", "json", "trace"])) == {"png", "rle", "json", "trace"}
        with pytest.raises(SourceNotFound, match="not kept"):
            streamed.save(tmp_path / "other", ["json", "overlay"])
        assert not (tmp_path / "other").exists()

    def test_a_real_clip(self, shared_data: Path, tmp_path: Path) -> None:
        path = shared_data / "demo" / "camel_480p_3s.mp4"
        masks = shared_data / "davis16_dev" / "Annotations" / "480p" / "camel"
        with open_video(path) as video:
            info, times = video.info, video.times[:6]
        gold = np.stack([read_mask(masks / f"{18 + i:05d}.png")[None] == 1 for i in range(6)])
        saved = result_for(path, info, gold, times).save(tmp_path, ["matte", "card"])
        with open_video(saved["matte"]) as video:
            assert video.num_frames == 6
            assert all(((frame.rgb[..., 0] > 127) == gold[frame.index, 0]).mean() > 0.995 for frame in video)
        with Image.open(saved["card"]) as card:
            assert card.width == 1600


class TestReadingBack:
    def test_a_run_comes_back_as_it_was(self, result: SegmentationResult, tmp_path: Path) -> None:
        result.save(tmp_path / "run", ["rle", "json"])
        back = read_run(tmp_path / "run")
        assert (back.trace, back.keyframes, back.reasoning, back.info) == (result.trace, result.keyframes, result.reasoning, result.info)
        assert (back.times, back.timings_s, back.size, back.query) == (result.times, result.timings_s, result.size, result.query)
        assert all((back.masks(i) == result.masks(i)).all() for i in range(NUM))
        assert [track.score for track in back.tracks] == pytest.approx([track.score for track in result.tracks], abs=1e-4)

    def test_a_run_can_be_exported_anew_without_any_model(self, result: SegmentationResult, tmp_path: Path) -> None:
        result.save(tmp_path / "run", ["rle", "json", "matte"])
        moved = tmp_path / "elsewhere.mp4"
        assert isinstance(result.source, Path)
        result.source.rename(moved)
        with pytest.raises(SourceNotFound):
            read_run(tmp_path / "run").save(tmp_path / "again", ["matte"])
        again = read_run(tmp_path / "run", moved).save(tmp_path / "again", ["matte", "rle"])
        assert again["matte"].read_bytes() == (tmp_path / "run" / "matte.mp4").read_bytes()
        assert json.loads(again["rle"].read_text()) == json.loads((tmp_path / "run" / "masks.json").read_text())

    def test_png_serves_where_rle_was_not_saved(self, result: SegmentationResult, tmp_path: Path) -> None:
        result.save(tmp_path / "run", ["png", "json"])
        assert not (tmp_path / "run" / "masks.json").exists()
        back = read_run(tmp_path / "run")
        assert all((back.label_map(i) == result.label_map(i)).all() for i in range(NUM))

    def test_png_folders_of_anybody(self, tmp_path: Path) -> None:
        for name, labels in (("10.png", [[0, 9]]), ("2.png", [[4, 255]]), (".hidden.png", [[7, 7]])):
            Image.fromarray(np.array(labels, np.uint8)).convert("P").save(tmp_path / name)
        masks = load_masks(tmp_path)
        assert masks.frame_names == ("2", "10")
        assert [track.object_id for track in masks.tracks] == [4, 9]
        assert (masks.size, masks.num_frames, masks.times) == ((2, 1), 2, ())
        assert [masks.mask(i).tolist() for i in range(2)] == [[[True, False]], [[False, True]]]

    def test_folders_that_hold_no_masks_of_one_video(self, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFound, match="no mask pictures"):
            load_masks(tmp_path)
        for name, shape in (("0.png", (4, 6)), ("1.png", (6, 4))):
            Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / name)
        with pytest.raises(ShapeMismatch, match=r"1\.png"):
            load_masks(tmp_path)

    @pytest.mark.parametrize(
        ("where", "change"),
        [
            ("videos", lambda d: d.update(videos=[])),
            ("videos[0]", lambda d: d["videos"][0].update(width=0)),
            ("videos[0]", lambda d: d["videos"][0].update(width=10**6, height=10**6)),
            ("videos[0].times_s", lambda d: d["videos"][0]["times_s"].pop()),
            ("annotations[0].segmentations", lambda d: d["annotations"][0]["segmentations"].pop()),
            ("annotations[1].confidences", lambda d: d["annotations"][1].update(confidences=[])),
            ("annotations[0].segmentations[2]", lambda d: d["annotations"][0]["segmentations"][2].update(size=[1, 1])),
            ("annotations[0].segmentations[2]", lambda d: d["annotations"][0]["segmentations"][2].update(counts="000")),
            ("annotations[0].segmentations[2].counts", lambda d: d["annotations"][0]["segmentations"][2].pop("counts")),
            ("annotations[1].id", lambda d: d["annotations"][1].update(id="2")),
            ("annotations", lambda d: d["annotations"][1].update(id=1)),
            ("annotations", lambda d: d["annotations"][1].update(id=300)),
        ],
    )
    def test_damaged_masks_are_refused_by_place(
        self, result: SegmentationResult, tmp_path: Path, where: str, change: Callable[[dict[str, Any]], object]
    ) -> None:
        path = result.save(tmp_path, ["rle"])["rle"]
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        with pytest.raises(InvalidDocument) as caught:
            load_masks(path)
        assert caught.value.where == f"{path}: {where}"

    def test_files_of_different_runs_do_not_belong_together(self, result: SegmentationResult, tmp_path: Path) -> None:
        result.save(tmp_path / "run", ["rle", "json"])
        other = result_for(None, result.info, draw()[1][:4], TIMES[:4])
        other.save(tmp_path / "run", ["rle"], overwrite=True)
        with pytest.raises(InvalidDocument, match="belong together"):
            read_run(tmp_path / "run")

    def test_another_video_is_noticed(self, result: SegmentationResult, tmp_path: Path) -> None:
        result.save(tmp_path / "run", ["rle", "json"])
        for name, frames in (("small", np.zeros((NUM, 32, 32, 3), np.uint8)), ("short", np.zeros((3, HEIGHT, WIDTH, 3), np.uint8))):
            with VideoWriter(tmp_path / f"{name}.mp4") as writer:
                for frame in frames:
                    writer.write(frame)
            with pytest.raises(InvalidDocument, match=name):
                read_run(tmp_path / "run", tmp_path / f"{name}.mp4").save(tmp_path / "out", ["matte"])
            assert not (tmp_path / "out").exists()
