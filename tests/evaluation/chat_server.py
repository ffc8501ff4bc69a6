"""A local HTTP server that behaves as the chat API of OpenAI, with faults for tests."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

Reply = tuple[int, dict[str, Any] | str]
"""HTTP status, and the body: JSON, or text."""


def completion(text: str | None, **message: Any) -> dict[str, Any]:
    """The body of an answer, as the API has it."""
    finish = message.pop("finish", "stop")
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
    }


def fault(status: int, message: str, code: str | None = None) -> Reply:
    return status, {"error": {"message": message, "type": "error", "code": code}}


def question_of(request: dict[str, Any]) -> str:
    """The text of a request's message."""
    (message,) = request["messages"]
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")


def image_bytes(request: dict[str, Any]) -> bytes | None:
    """The image file of a request's message."""
    urls = [p["image_url"]["url"] for p in request["messages"][0]["content"] if "image_url" in p]
    if not urls:
        return None
    head, _, content = urls[0].partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(content)


def image_of(request: dict[str, Any]) -> Image.Image | None:
    """The image of a request's message."""
    content = image_bytes(request)
    return None if content is None else Image.open(io.BytesIO(content))


@dataclass
class ChatServer:
    """The running server: what it was asked, and how it replies."""

    reply: Callable[[dict[str, Any]], Reply]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests, in order of arrival."""
    keys: set[str] = field(default_factory=set)
    busiest: int = 0
    """Highest number of requests at a time."""
    delay: float = 0.0
    """Seconds before a reply."""
    active: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, body: dict[str, Any], key: str) -> Reply:
        with self.lock:
            self.requests.append(body)
            self.keys.add(key)
            self.active += 1
            self.busiest = max(self.busiest, self.active)
        time.sleep(self.delay)
        try:
            return self.reply(body)
        finally:
            with self.lock:
                self.active -= 1


@contextmanager
def chat_server(reply: Callable[[dict[str, Any]], Reply]) -> Iterator[ChatServer]:
    """Serve ``/v1/chat/completions`` on a free port of this machine."""
    served = ChatServer(reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/v1/chat/completions":
                status, content = served.handle(body, self.headers["authorization"])
            else:
                status, content = fault(404, f"no {self.path}")
            self.respond(status, content)

        def respond(self, status: int, content: dict[str, Any] | str) -> None:
            kind = "text/html" if isinstance(content, str) else "application/json"
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.send_header("retry-after-ms", "10")
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:  # the client has given up
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
