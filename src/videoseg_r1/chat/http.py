"""HTTP requests to a chat server: timeouts, retries, limits of size, and a key that never appears in messages.

Temporary failures (busy, failing, disconnected or silent servers) are retried, twice at most. Redirects are not followed, because
they would carry the key elsewhere. Not here: the content of requests and answers (`endpoint`), Retry-After as a date (it would need
the wall clock; the usual wait applies).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from videoseg_r1.errors import InvalidConfig, ModelError

try:
    import httpx
except ImportError as _error:
    raise ModelError("the client for endpoints is not installed", where="httpx", fix="pip install 'videoseg-r1[remote]'") from _error

Sleep: TypeAlias = Callable[[float], Awaitable[object]]
"""Waits for seconds."""
Post: TypeAlias = "Callable[[Mapping[str, object]], Awaitable[HttpAnswer]]"
"""Sends a body as JSON."""

_BACKOFFS_S = (1.0, 4.0)
"""Waits before the second and the third attempt, before jitter."""
_MAX_WAIT_S = 30.0
_SHOWN_CHARS = 300


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of time and size for the requests to a server.

    Attributes:
        connect_s: seconds until there is a connection.
        silence_s: seconds without a byte; a server sends nothing before its last token.
        total_s: seconds for all requests of one session.
        max_bytes: size of one answer.
        num_parallel: simultaneous requests of one session.
    """

    connect_s: float = 10.0
    silence_s: float = 180.0
    total_s: float = 600.0
    max_bytes: int = 8 << 20
    num_parallel: int = 4


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer of the server: HTTP status, body, and the seconds it asks to wait before the next request.

    A status of 0 means that there was no whole answer; `content` then says why.
    """

    status: int
    content: bytes
    wait_s: float = 0.0

    @property
    def may_pass(self) -> bool:
        """Whether the same request may fare better a little later."""
        return self.status in (0, 408, 429) or self.status >= 500


class Server:
    """A server that takes JSON by POST.

    Args:
        url: base address, as in `http://localhost:8000/v1`; a bare host means its /v1.
        path: of the resource, below the base address.
        key: sent as bearer token, "" for none; removed from whatever the server answers.
        patience: limits of time and size.
        sleep: waits between attempts.

    Attributes:
        url: the whole address.
        notes: what happened, each once, in order.
    Raises: InvalidConfig: not an http or https address, or a key that no header can carry.
    """

    def __init__(self, url: str, path: str, *, key: str = "", patience: Patience | None = None, sleep: Sleep = asyncio.sleep) -> None:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InvalidConfig("no header can carry the key", where="VIDEOSEG_ENDPOINT_KEY", why="it holds blanks or odd characters")
        self.url = _address(url, path)
        self.notes: dict[str, None] = {}
        self._key, self._patience, self._sleep = key, patience or Patience(), sleep

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Post]:
        """Give a function that sends one request and returns the answer, the last one where several attempts were made.

        Raises: ModelError: all requests together took too long, or an answer was too large.
        """
        patience = self._patience
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}  # what is packed can be larger than it looks
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(patience.silence_s, connect=patience.connect_s, pool=None),
            limits=httpx.Limits(max_connections=patience.num_parallel),
            follow_redirects=False,
        )
        try:
            async with asyncio.timeout(patience.total_s), client:
                yield partial(self._post, client)
        except TimeoutError as error:
            raise self.failed("the endpoint did not answer in time", f"there was no answer within {patience.total_s:g} s") from error

    def refused(self, answer: HttpAnswer) -> ModelError:
        """Return the error for an answer that is not a success."""
        if not answer.status:
            return self.failed("the endpoint cannot be reached", _reason(answer))
        fix = ""
        if answer.status in (401, 403):
            fix = "set VIDEOSEG_ENDPOINT_KEY to a key that the server accepts"
        elif answer.status == 404 or 300 <= answer.status < 400:
            fix = "check VIDEOSEG_ENDPOINT_URL and VIDEOSEG_ENDPOINT_MODEL; redirects are not followed"
        return self.failed("the endpoint refused", _reason(answer), fix)

    def failed(self, what: str, why: str, fix: str = "") -> ModelError:
        return ModelError(what, where=self.url, why=why[:_SHOWN_CHARS], fix=fix)

    async def _post(self, client: httpx.AsyncClient, body: Mapping[str, object]) -> HttpAnswer:
        content = json.dumps(body).encode()
        for backoff_s in _BACKOFFS_S:
            answer = await self._attempt(client, content)
            if not answer.may_pass or answer.wait_s > _MAX_WAIT_S:
                return answer
            self.notes[f"the endpoint was asked again: {_reason(answer)}"] = None
            await self._sleep(max(answer.wait_s, backoff_s * random.uniform(0.5, 1.0)))  # noqa: S311 - it only spreads attempts
        return await self._attempt(client, content)

    async def _attempt(self, client: httpx.AsyncClient, content: bytes) -> HttpAnswer:
        received = bytearray()
        try:
            async with client.stream("POST", self.url, content=content) as response:
                async for block in response.aiter_raw():
                    received += block
                    if len(received) > self._patience.max_bytes:
                        why = f"it has more than {self._patience.max_bytes} bytes"
                        raise self.failed("the answer of the endpoint is too large", why)
        except httpx.TransportError as error:
            return HttpAnswer(0, f"{type(error).__name__} {error}".strip().encode())
        said = bytes(received).replace(self._key.encode(), b"[key]") if self._key else bytes(received)
        return HttpAnswer(response.status_code, said, _seconds(response.headers.get("Retry-After", "")))


def _address(url: str, path: str) -> str:
    """Return the address that is asked, which may be shown: it holds neither a user nor a query. Raises InvalidConfig."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:  # what it says could quote a password
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo or parsed.query or parsed.fragment:
        raise InvalidConfig(
            "this is not the base address of an endpoint",
            where="VIDEOSEG_ENDPOINT_URL",
            why="it must be http or https, with a host, and without user, query and fragment",
            fix="write it like http://localhost:8000/v1; put the key into VIDEOSEG_ENDPOINT_KEY",
        )
    base = parsed.path.rstrip("/") or "/v1"
    return str(parsed.copy_with(path=f"{base}/{path}"))


def _reason(answer: HttpAnswer) -> str:
    said = " ".join(answer.content[: 4 * _SHOWN_CHARS].decode("utf-8", "replace").split())
    if not answer.status:
        return said
    wait = f", to be asked again in {answer.wait_s:g} s" if answer.wait_s else ""
    return f"HTTP {answer.status}{wait}: {said}"[:_SHOWN_CHARS]


def _seconds(retry_after: str) -> float:
    """Return the seconds of a Retry-After header; 0 for a date or anything else."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
