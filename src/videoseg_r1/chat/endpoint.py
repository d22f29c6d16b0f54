"""A chat model behind an address: any server with OpenAI-compatible chat completions, such as vLLM, SGLang or a cloud service.

Pictures travel as JPEG: a video has been through lossy coding already, and PNG would take several times the bytes. Optional parts of a
request (several replies at once, a JSON schema, template switches) are left out when the server refuses them.

Not here: HTTP itself (`http`), starting a server, streaming of tokens. Tested against the server of the tests only.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from PIL import Image

from videoseg_r1.chat.base import Message, Part, Reply, Sampling
from videoseg_r1.chat.families import FAMILIES, Family, family_of
from videoseg_r1.chat.http import Post, Server
from videoseg_r1.documents import build
from videoseg_r1.errors import InvalidConfig, InvalidDocument, UnknownName
from videoseg_r1.prompts.schema import THINK, THINK_END
from videoseg_r1.types import RgbImage

_T = TypeVar("_T")

_JPEG_QUALITY = 90
_NOT_UNDERSTOOD = (400, 422)
_WISHES = ("response_format", "chat_template_kwargs", "n")
"""What a request can do without."""
_CUT_OFF = ("length", "content_filter")
# by a part of the names under which models are published
_FAMILY_OF_MODEL = {"qwen2.5-vl": "qwen2_5_vl", "qwen3-vl": "qwen3_vl", "qwen3.5": "qwen3_5"}


def endpoint_from_environment() -> EndpointChat:
    """Return the model that VIDEOSEG_ENDPOINT_URL, _MODEL, _KEY and _FAMILY name; the last two may be left out.

    Raises: InvalidConfig: the first two are missing, the address or the key is malformed, or the family is not known.
    """
    url, model, key, family = (os.environ.get(f"VIDEOSEG_ENDPOINT_{name}", "").strip() for name in ("URL", "MODEL", "KEY", "FAMILY"))
    if not url or not model:
        raise InvalidConfig(
            "no endpoint is set",
            where="VIDEOSEG_ENDPOINT_URL and VIDEOSEG_ENDPOINT_MODEL",
            fix="set them, e.g. to http://localhost:8000/v1 and the name under which the model is served there",
        )
    return EndpointChat(Server(url, "chat/completions", key=key), model, family_named(family, model))


def family_named(family: str, model: str) -> Family:
    """Return a family by its name, or where that is "" by the name of a model as it is published. Raises InvalidConfig."""
    fix = f"set VIDEOSEG_ENDPOINT_FAMILY to one of {', '.join(FAMILIES)}"
    name = family or next((known for part, known in _FAMILY_OF_MODEL.items() if part in model.lower()), "")
    if not name:
        why = "which coordinates it writes depends on its family and is not guessed"
        raise InvalidConfig("the family of the model cannot be told from its name", where=model, why=why, fix=fix)
    try:
        return family_of(name)
    except UnknownName as error:
        raise InvalidConfig(error.what, where=error.where, fix=fix) from error


class EndpointChat:
    """A `Chat` behind an address.

    Args:
        server: where to ask.
        model: name under which the server knows the model.
        family: of the model.
    """

    def __init__(self, server: Server, model: str, family: Family) -> None:
        self._server, self._model, self._family = server, model, family
        self._not_known: set[str] = set()

    @property
    def family(self) -> Family:
        return self._family

    @property
    def description(self) -> str:
        return f"{self._model} at {self._server.url}"

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._server.notes)

    def num_tokens(self, text: str) -> int:
        """Return the number of words: the tokenizer is with the server."""
        return len(text.split())

    def ask(self, messages: Sequence[Message], sampling: Sampling, num_replies: int = 1) -> list[Reply]:
        """Return replies to the same messages; with temperature 0 one reply is requested and repeated.

        One request asks for all replies; those that the server does not return are requested one by one, with the seeds that follow.
        Raises: ModelError: there is no usable answer, with the last reason.
        """
        body = self._body(messages, sampling)
        if sampling.temperature > 0:
            return _run(self._replies(body, num_replies))
        return _run(self._replies(body, 1)) * num_replies

    def _body(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": message.role, "content": _content(message.parts)} for message in messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        }
        if sampling.schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": dict(sampling.schema)}}
        if self._family.template_options:
            body["chat_template_kwargs"] = dict(self._family.template_options)
        return body

    async def _replies(self, body: Mapping[str, Any], num: int) -> list[Reply]:
        replies: list[Reply] = []
        async with self._server.session() as post:
            if num > 1 and "n" not in self._not_known:
                replies = (await self._completion(post, {**body, "n": num}))[:num]
                if len(replies) < num:
                    self._not_known.add("n")
            singles = ({**body, "seed": body["seed"] + k} for k in range(len(replies), num))
            more = await asyncio.gather(*(self._completion(post, single) for single in singles))
        return replies + [found[0] for found in more]

    async def _completion(self, post: Post, body: Mapping[str, Any]) -> list[Reply]:
        """Return the replies of one request, at least one; without the wishes that the server does not know."""
        body = {key: value for key, value in body.items() if key not in self._not_known}
        answer = await post(body)
        for wishes in _wishes(body):
            if answer.status not in _NOT_UNDERSTOOD:
                break
            answer = await post({key: value for key, value in body.items() if key not in wishes})
            if answer.status == 200:  # so they were the reason
                self._not_known.update(wishes)
                self._server.notes[f"the endpoint refused {' and '.join(wishes)}, it was asked without"] = None
        if answer.status != 200:
            raise self._server.refused(answer)
        return self._read(answer.content)

    def _read(self, content: bytes) -> list[Reply]:
        failed = self._server.failed
        try:
            choices = build(_Completion, json.loads(content), "answer").choices
        except InvalidDocument as error:
            raise failed("the answer of the endpoint is not a chat completion", f"{error.what}: {error.where} {error.why}") from error
        except (ValueError, RecursionError) as error:
            raise failed("the answer of the endpoint is not JSON", str(error)) from error
        if not choices:
            raise failed("the endpoint gave no reply", "answer: choices is empty")
        return [_reply(choice, self._family) for choice in choices]


@dataclass(frozen=True, slots=True)
class _Text:
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class _Choice:
    message: _Text
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Completion:
    """The part of a chat completion that is read. vLLM and SGLang return separated thinking as `reasoning_content` or `reasoning`."""

    choices: tuple[_Choice, ...]


def _wishes(body: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return what can be left out of a request, one thing at a time and at last everything."""
    wishes = tuple(key for key in _WISHES if key in body)
    return [*((wish,) for wish in wishes), *([wishes] if len(wishes) > 1 else [])]


def _reply(choice: _Choice, family: Family) -> Reply:
    """Return a reply with its thinking in tags, also where the server has put it aside or the prompt has the opening tag."""
    text = choice.message.content or ""
    thinking = choice.message.reasoning_content or choice.message.reasoning
    if thinking and THINK not in text:
        text = f"{THINK}{thinking}{THINK_END}{text}" if text else f"{THINK}{thinking}"
    elif THINK_END in text and THINK not in text:
        text = family.restored(text, THINK)
    return Reply(text, choice.finish_reason not in _CUT_OFF)


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Return parts as the protocol writes them: text alone is a string, which every server takes from the system."""
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return "".join(texts)
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image_url", "image_url": {"url": _data_url(part)}}
        for part in parts
    ]


def _data_url(picture: RgbImage) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what a coroutine returns, also for a caller inside an event loop, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)  # Ctrl-C ends the requests that are under way
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
