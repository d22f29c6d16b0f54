"""An endpoint that misbehaves in every way: busy, silent, lying, flooding, redirecting; and a key that never shows (R4, M1, S7, X2)."""

from __future__ import annotations

import json
import logging
import socket
import traceback
from collections.abc import Callable

import pytest

from helpers.chat_server import ChatServer, Deed, breaks_off, drips, floods, hangs, raw, says
from videoseg_r1.chat.base import Message, Sampling
from videoseg_r1.chat.endpoint import EndpointChat
from videoseg_r1.chat.families import family_of
from videoseg_r1.chat.http import Patience, Server
from videoseg_r1.errors import InvalidConfig, ModelError

KEY = "sk-very-secret-0123456789"
ASKED = [Message("user", ("what is this?",))]
GOOD = says("a dog")


class Endpoint:
    """A chat on a server that does these deeds; `waits` are the seconds between its attempts, which are not waited."""

    def __init__(self, server: ChatServer, patience: Patience) -> None:
        self.server = server
        self.waits: list[float] = []

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        self.chat = EndpointChat(
            Server(server.url, "chat/completions", key=KEY, patience=patience, sleep=sleep), "some-model", family_of("qwen2_5_vl")
        )

    def ask(self) -> str:
        return self.chat.ask(ASKED, Sampling())[0].text

    def failure(self) -> ModelError:
        with pytest.raises(ModelError) as caught:
            self.ask()
        return caught.value


Serve = Callable[..., Endpoint]


@pytest.fixture
def serve(start_server: Callable[..., ChatServer]) -> Serve:
    def start(*deeds: Deed, patience: Patience | None = None) -> Endpoint:
        return Endpoint(start_server(*deeds), patience or Patience())

    return start


@pytest.mark.parametrize("deed", [raw(500, "oops"), raw(502, ""), raw(503, "loading"), raw(429, "slow down"), raw(408, ""), breaks_off])
def test_what_may_pass_is_tried_again_and_noted(serve: Serve, deed: Deed) -> None:
    endpoint = serve(deed, deed, GOOD)
    assert endpoint.ask() == "a dog"
    assert len(endpoint.server.bodies) == 3
    assert endpoint.server.bodies[0] == endpoint.server.bodies[2], "the same question, seed included"
    assert 0.5 <= endpoint.waits[0] <= 1.0
    assert 2.0 <= endpoint.waits[1] <= 4.0
    assert endpoint.chat.notes
    assert all(note.startswith("the endpoint was asked again: ") for note in endpoint.chat.notes)


@pytest.mark.parametrize("deed", [raw(500, "oops"), raw(429, ""), breaks_off])
def test_after_three_attempts_it_is_given_up(serve: Serve, deed: Deed) -> None:
    endpoint = serve(deed)
    assert endpoint.server.url in str(endpoint.failure())
    assert len(endpoint.server.bodies) == 3


def test_retry_after_is_honoured(serve: Serve) -> None:
    endpoint = serve(raw(429, "", Retry_After="7"), raw(503, "", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), GOOD)
    assert endpoint.ask() == "a dog"
    assert endpoint.waits[0] == 7.0
    assert 2.0 <= endpoint.waits[1] <= 4.0, "a date gives the usual wait"


def test_a_server_that_wants_too_much_time_is_not_waited_for(serve: Serve) -> None:
    endpoint = serve(raw(429, "quota", Retry_After="86400"))
    assert "to be asked again in 86400 s" in endpoint.failure().why
    assert endpoint.waits == []
    assert len(endpoint.server.bodies) == 1


def test_silence_is_not_waited_out(serve: Serve) -> None:
    endpoint = serve(hangs, GOOD, patience=Patience(silence_s=0.2))
    assert endpoint.ask() == "a dog"
    assert endpoint.chat.notes == ("the endpoint was asked again: ReadTimeout",)


@pytest.mark.parametrize("deed", [hangs, drips])
def test_the_time_for_all_attempts_is_bounded(serve: Serve, deed: Deed) -> None:
    assert "0.2 s" in serve(deed, patience=Patience(total_s=0.2)).failure().why


def test_a_flood_is_cut(serve: Serve) -> None:
    failure = serve(floods, patience=Patience(max_bytes=200_000)).failure()
    assert (failure.what, failure.why) == ("the answer of the endpoint is too large", "it has more than 200000 bytes")


def test_nobody_there_is_said() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def sleep(_seconds: float) -> None:
        pass

    chat = EndpointChat(Server(f"http://127.0.0.1:{port}", "chat/completions", sleep=sleep), "m", family_of("qwen3_vl"))
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        chat.ask(ASKED, Sampling())
    assert "ConnectError" in caught.value.why


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(serve: Serve, status: int) -> None:
    elsewhere = serve(GOOD)
    failure = serve(raw(status, "", Location=f"{elsewhere.server.url}/chat/completions")).failure()
    assert f"HTTP {status}" in failure.why
    assert "redirects are not followed" in failure.fix
    assert elsewhere.server.bodies == []


@pytest.mark.parametrize(
    ("status", "fix"), [(401, "VIDEOSEG_ENDPOINT_KEY"), (403, "VIDEOSEG_ENDPOINT_KEY"), (404, "VIDEOSEG_ENDPOINT_MODEL")]
)
def test_what_will_not_pass_is_not_tried_again(serve: Serve, status: int, fix: str) -> None:
    endpoint = serve(raw(status, '{"error": {"message": "the reason"}}'))
    failure = endpoint.failure()
    assert fix in failure.fix
    assert "the reason" in failure.why
    assert len(endpoint.server.bodies) == 1


def test_a_bad_request_is_an_error_and_no_reason_to_think_less_of_the_server(serve: Serve) -> None:
    endpoint = serve(raw(400, "the prompt is too long"))
    with pytest.raises(ModelError, match="the prompt is too long"):
        endpoint.chat.ask(ASKED, Sampling(temperature=1.0, schema={"type": "object"}), 2)
    assert endpoint.chat.notes == ()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "Expecting value"),
        ("<html>", "Expecting value"),
        (b"\xff\xfe{", "codec can't decode"),
        ("[" * 100_000, "recursion"),
        ("[]", "answer"),
        ("{}", "answer: choices"),
        ('{"choices": null}', "answer: choices"),
        ('{"choices": [{}]}', "answer: choices[0].message"),
        ('{"choices": [{"message": {"content": 7}}]}', "answer: choices[0].message.content"),
        ('{"choices": [{"message": {"content": ["a"]}}]}', "answer: choices[0].message.content"),
        ('{"choices": [{"message": {"content": "a"}, "finish_reason": 1}]}', "answer: choices[0].finish_reason"),
        ('{"choices": []}', "choices is empty"),
        ('{"choices": [{"message": {"content": "a"}}], ', "Expecting property name"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_answer_that_is_none_is_an_error_that_names_the_place(serve: Serve, answer: str | bytes, why: str) -> None:
    failure = serve(raw(200, answer)).failure()
    assert why in failure.why
    assert failure.where.endswith("/v1/chat/completions")


def test_the_key_never_shows(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    for status, content in [(401, f"invalid key {KEY}"), (500, f"header was Bearer {KEY}"), (200, json.dumps({"choices": KEY}))]:
        endpoint = serve(raw(status, content))
        failure = endpoint.failure()
        assert endpoint.server.headers[0]["Authorization"] == f"Bearer {KEY}", "it is sent"
        shown += [str(failure), repr(failure), str(failure.to_dict()), *traceback.format_exception(failure), *endpoint.chat.notes]
    echo = serve(says(f"your key is {KEY}"))
    shown += [echo.ask(), repr(echo.chat), echo.chat.description, caplog.text]
    assert "[key]" in "".join(shown)
    assert not [text for text in shown if KEY in text or KEY[:12] in text]


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host/v1", "file:///etc/passwd", "http://", "http://me:hunter2@host/v1", "http://host/v1?key=hunter2",
     "http://host/v1#hunter2", "http://host:port/v1", "http://me:hunter2@ho st/\x00"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidConfig, match="VIDEOSEG_ENDPOINT_URL") as caught:
        Server(url, "chat/completions")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(InvalidConfig, match="VIDEOSEG_ENDPOINT_KEY") as caught:
        Server("http://localhost", "chat/completions", key=key)
    assert key not in str(caught.value)
