"""A stand-in for S3 over real HTTP: it lists, gives and creates objects of one bucket, and looks at no signature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

BUCKET = "heads"


class BucketServer:
    """The objects of the bucket, and ``refuses``: an HTTP status that every request gets instead of an answer."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.refuses: int | None = None
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    bucket: BucketServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._refused():
            return
        parts = urlsplit(self.path)
        if "list-type" in parse_qs(parts.query):
            self._answer(200, _listing(self.bucket, parse_qs(parts.query).get("prefix", [""])[0]))
            return
        content = self.bucket.objects.get(self._key())
        if content is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif "Range" in self.headers:
            self._answer(206, content, {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"})
        else:
            self._answer(200, content)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._refused():
            return
        if self.headers.get("If-None-Match") != "*":
            self._answer(400, b"<Error><Code>OnlyNewObjects</Code></Error>")
        elif self._key() in self.bucket.objects:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self.bucket.objects[self._key()] = content
            self._answer(200, b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")

    def _refused(self) -> bool:
        if self.bucket.refuses is not None:
            self._answer(self.bucket.refuses, b"<Error><Code>Refused</Code><Message>no</Message></Error>")
        return self.bucket.refuses is not None

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        fixed = {"ETag": '"1"', "Last-Modified": "Tue, 24 Nov 2026 20:00:00 GMT", "Content-Length": str(len(body))}
        for name, value in {**fixed, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def bucket_server() -> Iterator[BucketServer]:
    """Serve an empty bucket on a free port of this machine."""
    state = BucketServer()
    handler = type("Handler", (_Handler,), {"bucket": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use_bucket(patch: pytest.MonkeyPatch, server: BucketServer) -> None:
    """Have S3 mean this server, as a user's environment would."""
    for name, value in {
        "AWS_ENDPOINT": server.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "a secret",
        "AWS_REGION": "here-1",
    }.items():
        patch.setenv(name, value)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        patch.delenv(name, raising=False)


def _listing(state: BucketServer, prefix: str) -> bytes:
    found = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-24T20:00:00.000Z</LastModified>"
        f"<ETag>1</ETag><Size>{len(content)}</Size></Contents>"
        for key, content in sorted(state.objects.items())
        if key.startswith(prefix)
    )
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode()
