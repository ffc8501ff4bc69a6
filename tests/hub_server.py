"""A local HTTP server that accepts uploads as the Hugging Face Hub does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """The running server, and what was uploaded to it."""

    url: str = ""
    status: int = 200
    """Status of every reply; another than 200 is a refusal."""
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    """Content by TYPE/OWNER/NAME/PATH."""
    commits: int = 0
    keys: set[str] = field(default_factory=set)

    def reply(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.status != 200:
            return self.status, {"error": "You may not."}
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            name, kind = self.created[-1]["name"], self.created[-1].get("type", "model")
            owner = self.created[-1].get("organization", "me")
            prefix = "datasets/" if kind == "dataset" else ""
            return 200, {"url": f"{self.url}/{prefix}{owner}/{name}"}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            return 200, {
                "files": [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for one in files
                ]
            }
        if "/commit/" in path:
            return 200, self.commit(path.removeprefix("/api/").split("/commit/")[0], body)
        return 200, {}

    def commit(self, repository: str, body: bytes) -> dict[str, Any]:
        self.commits += 1
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                content = base64.b64decode(entry["value"]["content"])
                self.files[f"{repository}/{entry['value']['path']}"] = content
        page = f"{self.url}/{repository.removeprefix('models/')}/commit/{'a' * 40}"
        return {"success": True, "commitOid": "a" * 40, "commitUrl": page}


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Serve the upload API on a free port of this machine."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            hub.keys.add(self.headers["authorization"])
            self.answer(*hub.reply(self.path.split("?")[0], self.body()))

        def do_GET(self) -> None:
            self.answer(hub.status, {"id": "owner/name", "sha": "a" * 40, "siblings": []})

        def body(self) -> bytes:
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content

        def answer(self, status: int, content: dict[str, Any]) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
