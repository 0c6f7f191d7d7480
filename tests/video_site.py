"""A site with videos on the loopback that fails as it is told to."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import unquote

Fault = int | Literal["reset", "cut", "page"]
"""A status, a connection reset before an answer, half a body, or a page without a video."""


@dataclass
class Site:
    """What it has, how it fails, and what it was asked for."""

    videos: dict[str, bytes]
    faults: dict[str, list[Fault | None]] = field(default_factory=dict)
    """Of each video's next requests; None is none. The first of a try asks what there is, the
    second for the data."""
    always: dict[str, Fault] = field(default_factory=dict)
    retry_after: str = "0"
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Video and `Range` of each request."""
    cookies: set[str] = field(default_factory=set)
    url: str = ""

    def asked_for(self) -> list[str]:
        """The videos in the order of their first requests."""
        return list(dict.fromkeys(video_id for video_id, _ in self.asked))

    def next_fault(self, video_id: str) -> Fault | None:
        planned = self.faults.get(video_id)
        return planned.pop(0) if planned else self.always.get(video_id)


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """The site, answering at its `url` for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            video_id = unquote(self.path.removeprefix("/watch/").removesuffix(".mp4"))
            site.asked.append((video_id, self.headers.get("Range", "")))
            site.cookies.update(self.headers.get_all("Cookie", []))
            fault = site.next_fault(video_id)
            if fault == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
            elif fault == "page":
                self._answer(200, b"<html><p>No video here.</p></html>", kind="text/html")
            elif isinstance(fault, int):
                self._answer(fault, b"no", kind="text/plain")
            elif video_id not in site.videos:
                self._answer(404, b"unknown", kind="text/plain")
            else:
                self._send(site.videos[video_id], is_cut=fault == "cut")

        def _send(self, content: bytes, *, is_cut: bool) -> None:
            asked = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
            start, status = int(asked or 0), 206 if asked else 200
            last = (start + len(content)) // 2 if is_cut else len(content)
            self._answer(status, content[start:], num_sent=last - start, start=start)

        def _answer(
            self,
            status: int,
            body: bytes,
            *,
            kind: str = "video/mp4",
            num_sent: int | None = None,
            start: int = 0,
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            if status == 429:
                self.send_header("Retry-After", site.retry_after)
            if status == 206:
                whole = start + len(body)
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.end_headers()
            with suppress(OSError):  # yt-dlp goes when it has seen what there is
                self.wfile.write(body[:num_sent])

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}/watch/{{video_id}}.mp4"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
