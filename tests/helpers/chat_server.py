"""A server of chat completions on this machine that does what a script says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Deed: TypeAlias = "Callable[[_Handler, Mapping[str, Any]], None]"
"""What is done with a request: the handler to answer on, and the body that was asked."""


class ChatServer(ThreadingHTTPServer):
    """Does one deed after the other, the last one again and again; a context manager.

    `bodies`, `headers` and `paths` hold what was asked, in order of arrival.
    """

    daemon_threads = True

    def __init__(self, *deeds: Deed) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.deeds = list(deeds)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next_deed(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Deed:
        with self._lock:
            self.paths.append(path)
            self.headers.append(dict(headers))
            self.bodies.append(body)
            return self.deeds.pop(0) if len(self.deeds) > 1 else self.deeds[0]

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.server.next_deed(self.path, self.headers, body)(self, body)
        except (BrokenPipeError, ConnectionResetError):  # the client did not want to hear the rest
            self.close_connection = True

    def send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content) if length is None else length), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def completion(texts: Sequence[str], reason: str = "stop") -> bytes:
    choices = [
        {"index": k, "message": {"role": "assistant", "content": text}, "finish_reason": reason if k == 0 else "stop"}
        for k, text in enumerate(texts)
    ]
    return json.dumps({"id": "c", "object": "chat.completion", "choices": choices, "usage": {"total_tokens": 9}}).encode()


def says(*texts: str, reason: str = "stop") -> Deed:
    """Answer with these replies, however many were asked for."""
    return lambda handler, body: handler.send(200, completion(texts, reason))


def obliges(handler: _Handler, body: Mapping[str, Any]) -> None:
    """Answer with as many replies as were asked for, each naming its seed and number."""
    handler.send(200, completion([f"seed {body['seed']} number {k}" for k in range(body.get("n", 1))]))


def raw(status: int, content: bytes | str, **headers: str) -> Deed:
    """Answer with this."""
    encoded = content.encode() if isinstance(content, str) else content
    return lambda handler, body: handler.send(status, encoded, {name.replace("_", "-"): value for name, value in headers.items()})


def refuses(key: str, deed: Deed) -> Deed:
    """Answer 400 to a request that holds this key, otherwise do the deed."""

    def do(handler: _Handler, body: Mapping[str, Any]) -> None:
        if key in body:
            handler.send(400, json.dumps({"error": {"message": f"unknown field {key}"}}).encode())
        else:
            deed(handler, body)

    return do


def breaks_off(handler: _Handler, _body: Mapping[str, Any]) -> None:
    """Send half an answer and hang up."""
    content = completion(["what nobody will read"])
    handler.send(200, content[:40], length=len(content))
    handler.close_connection = True


def hangs(handler: _Handler, _body: Mapping[str, Any]) -> None:
    """Say nothing until the test is over."""
    handler.server.released.wait(20)
    handler.close_connection = True


def drips(handler: _Handler, _body: Mapping[str, Any]) -> None:
    """Send a byte every now and then, without end."""
    handler.send(200, b"", length=1_000_000)
    while not handler.server.released.wait(0.03):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def floods(handler: _Handler, _body: Mapping[str, Any]) -> None:
    """Send far more than anybody asked for, without saying how much it will be."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while not handler.server.released.is_set():
        handler.wfile.write(b" " * 65536)


async def no_wait(_seconds: float) -> None:
    """Wait for nothing between attempts."""
