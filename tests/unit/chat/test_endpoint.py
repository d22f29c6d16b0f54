"""A chat model behind an address: what is sent to a real server on this machine, and what is made of its answers."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from helpers.chat_server import ChatServer, Deed, completion, no_wait, obliges, raw, refuses, says
from videoseg_r1.chat.base import Message, Sampling
from videoseg_r1.chat.endpoint import EndpointChat, endpoint_from_environment, family_named
from videoseg_r1.chat.families import family_of
from videoseg_r1.chat.http import Server
from videoseg_r1.errors import InvalidConfig

ASKED = [Message("system", ("be brief",)), Message("user", ("what is this?",))]
WARM = Sampling(temperature=0.7, top_p=0.9, max_tokens=64, seed=5)
Serve = Callable[..., tuple[EndpointChat, ChatServer]]


@pytest.fixture
def serve(start_server: Callable[..., ChatServer]) -> Serve:
    """A function: deeds of a server -> (chat on it, server); options are the server's and `model_type`."""

    def start(*deeds: Deed, model_type: str = "qwen2_5_vl", key: str = "") -> tuple[EndpointChat, ChatServer]:
        running = start_server(*deeds)
        server = Server(running.url, "chat/completions", key=key, sleep=no_wait)
        return EndpointChat(server, "some-model", family_of(model_type)), running

    return start


def test_a_question_is_written_as_the_protocol_has_it(serve: Serve) -> None:
    chat, server = serve(says("a dog"), key="sesame")
    assert [(reply.text, reply.complete) for reply in chat.ask(ASKED, Sampling(max_tokens=7, seed=3))] == [("a dog", True)]
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["Authorization"] == "Bearer sesame"
    assert server.bodies == [
        {
            "model": "some-model",
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "what is this?"}],
            "temperature": 0.0,
            "top_p": 1.0,
            "max_tokens": 7,
            "seed": 3,
        }
    ]
    assert chat.notes == ()


def test_pictures_keep_their_place_and_look_as_they_did(serve: Serve) -> None:
    rows, columns = np.mgrid[:56, :84]
    picture = np.stack([rows * 4, columns * 3, 255 - rows * 4], axis=-1).astype(np.uint8)
    chat, server = serve(says("yes"))
    chat.ask([Message("user", ("frame 1:", picture, "what is this?"))], Sampling())
    parts = server.bodies[0]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    head, _, data = parts[1]["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert seen.shape == picture.shape
    assert np.abs(seen.astype(int) - picture).mean() < 3


def test_all_replies_are_asked_for_at_once_where_the_server_does_that(serve: Serve) -> None:
    chat, server = serve(obliges)
    assert [reply.text for reply in chat.ask(ASKED, WARM, 3)] == [f"seed 5 number {k}" for k in range(3)]
    assert [body.get("n") for body in server.bodies] == [3]


def test_missing_replies_are_asked_for_with_other_seeds_and_that_is_remembered(serve: Serve) -> None:
    chat, server = serve(lambda handler, body: handler.send(200, completion([f"seed {body['seed']}"])))
    for _ in range(2):
        assert [reply.text for reply in chat.ask(ASKED, WARM, 4)] == [f"seed {seed}" for seed in (5, 6, 7, 8)]
    assert ["n" in body for body in server.bodies] == [True] + 7 * [False]
    assert chat.notes == ()


def test_more_replies_than_asked_for_are_cut(serve: Serve) -> None:
    chat, _ = serve(says("a", "b", "c"))
    assert [reply.text for reply in chat.ask(ASKED, WARM, 2)] == ["a", "b"]


def test_a_greedy_reply_is_asked_for_once(serve: Serve) -> None:
    chat, server = serve(obliges)
    assert [reply.text for reply in chat.ask(ASKED, Sampling(seed=1), 3)] == 3 * ["seed 1 number 0"]
    assert len(server.bodies) == 1
    assert "n" not in server.bodies[0]


def test_requests_run_side_by_side_but_not_too_many(serve: Serve) -> None:
    lock, busy, most = threading.Lock(), 0, 0
    met = threading.Barrier(4, timeout=10)

    def together(handler: object, body: object) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        met.wait()  # nobody is answered before four are here
        with lock:
            busy -= 1
        says("x")(handler, body)  # type: ignore[arg-type]

    chat, _ = serve(says("x"), together)
    assert len(chat.ask(ASKED, WARM, 9)) == 9
    assert most == 4


@pytest.mark.parametrize("wish", ["response_format", "chat_template_kwargs", "n"])
def test_what_a_server_refuses_is_asked_for_without_it(serve: Serve, wish: str) -> None:
    chat, server = serve(refuses(wish, obliges), model_type="qwen3_5")
    sampling = Sampling(temperature=0.7, schema={"type": "object"})
    assert len({reply.text for reply in chat.ask(ASKED, sampling, 2)}) == 2
    num_learning = len(server.bodies)
    assert len({reply.text for reply in chat.ask(ASKED, sampling, 2)}) == 2
    assert not any(wish in body for body in server.bodies[num_learning:]), "it is not tried again"
    kept = {"response_format", "chat_template_kwargs"} - {wish}
    assert all(kept <= body.keys() for body in server.bodies[num_learning:]), "what the server knows is kept"
    assert chat.notes == (f"the endpoint refused {wish}, it was asked without",)


def test_a_server_that_knows_nothing_beyond_the_basics_is_asked_for_the_basics(serve: Serve) -> None:
    chat, server = serve(refuses("response_format", refuses("chat_template_kwargs", obliges)), model_type="qwen3_5")
    for _ in range(2):
        assert chat.ask(ASKED, Sampling(schema={"type": "object"}))[0].text == "seed 0 number 0"
    assert len(server.bodies) == 5
    assert chat.notes == ("the endpoint refused response_format and chat_template_kwargs, it was asked without",)


def test_a_schema_is_passed_on(serve: Serve) -> None:
    chat, server = serve(says("{}"))
    chat.ask(ASKED, Sampling(schema={"type": "object"}))
    assert server.bodies[0]["response_format"] == {"type": "json_schema", "json_schema": {"name": "reply", "schema": {"type": "object"}}}


def test_switches_of_the_template_are_passed_on(serve: Serve) -> None:
    chat, server = serve(says("a"), model_type="qwen3_5")
    chat.ask(ASKED, Sampling())
    assert server.bodies[0]["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize(("reason", "complete"), [("stop", True), ("length", False), ("content_filter", False)])
def test_a_reply_that_was_cut_off_says_so(serve: Serve, reason: str, complete: bool) -> None:
    chat, _ = serve(says("half a", reason=reason))
    assert chat.ask(ASKED, Sampling())[0].complete is complete


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "<answer>1</answer>", "reasoning_content": "so"}, "<think>so</think><answer>1</answer>"),
        ({"content": "<answer>1</answer>", "reasoning": "so"}, "<think>so</think><answer>1</answer>"),
        ({"content": None, "reasoning_content": "so"}, "<think>so"),
        ({"content": "so</think>1"}, "<think>\nso</think>1"),
        ({"content": "<think>so</think>1", "reasoning": "own"}, "<think>so</think>1"),
        ({"content": None}, ""),
        ({"content": "half \ud83d a pair"}, "half \ud83d a pair"),
    ],
)
def test_thinking_comes_back_in_tags(serve: Serve, message: dict[str, object], text: str) -> None:
    chat, _ = serve(raw(200, json.dumps({"choices": [{"message": message}]})))
    assert chat.ask(ASKED, Sampling())[0].text == text


def test_it_works_inside_an_event_loop(serve: Serve) -> None:
    chat, _ = serve(says("a"))

    async def cell() -> str:
        return chat.ask(ASKED, Sampling())[0].text

    assert asyncio.run(cell()) == "a"


def test_the_model_is_described_without_its_key(serve: Serve) -> None:
    chat, server = serve(says("a"), key="sesame")
    assert chat.description == f"some-model at {server.url}/chat/completions"
    assert chat.num_tokens("a dog on a lawn") == 5
    assert "sesame" not in repr(chat) + chat.description


@pytest.mark.parametrize(
    ("family", "model", "found"),
    [
        ("", "Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_5_vl"),
        ("", "qwen3-vl-30b-a3b", "qwen3_vl"),
        ("", "Qwen/Qwen3.5-4B", "qwen3_5"),
        ("qwen3_vl_moe", "anything", "qwen3_vl_moe"),
    ],
)
def test_the_family_is_that_of_the_model(family: str, model: str, found: str) -> None:
    assert family_named(family, model).name == found


@pytest.mark.parametrize(("family", "model"), [("", "gpt-9"), ("", "qwen2-vl"), ("qwen9", "Qwen/Qwen2.5-VL-7B-Instruct")])
def test_a_family_that_is_not_known_is_refused_with_the_choices(family: str, model: str) -> None:
    with pytest.raises(InvalidConfig, match="VIDEOSEG_ENDPOINT_FAMILY to one of qwen2_5_vl, qwen3_vl"):
        family_named(family, model)


def test_the_environment_names_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "MODEL", "KEY", "FAMILY"):
        monkeypatch.delenv(f"VIDEOSEG_ENDPOINT_{name}", raising=False)
    with pytest.raises(InvalidConfig, match="VIDEOSEG_ENDPOINT_URL and VIDEOSEG_ENDPOINT_MODEL"):
        endpoint_from_environment()
    monkeypatch.setenv("VIDEOSEG_ENDPOINT_URL", "http://localhost:8000")
    monkeypatch.setenv("VIDEOSEG_ENDPOINT_MODEL", "qwen3-vl-4b")
    chat = endpoint_from_environment()
    assert (chat.description, chat.family.name) == ("qwen3-vl-4b at http://localhost:8000/v1/chat/completions", "qwen3_vl")


def test_without_the_client_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['httpx'] = None\nimport videoseg_r1.chat.endpoint"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "pip install 'videoseg-r1[remote]'" in done.stderr


def test_it_needs_no_torch() -> None:
    code = "import sys, videoseg_r1.chat.endpoint, videoseg_r1.difficulty.report; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout == "False\n"
