"""A web server on this computer that can serve, lie and hang up."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skhybrid.datasets._fetch import ZipArchive


class Server:
    """What the server answers with; tests set the attributes.

    Attributes
    ----------
    content : bytes
        What it sends.
    cut_at : int or None
        After how many bytes it hangs up, having promised all of them.
    status : int
        The HTTP status of its answers.
    n_requests : int
        How often it was asked.
    """

    def __init__(self) -> None:
        self.content = b""
        self.cut_at: int | None = None
        self.status = 200
        self.n_requests = 0
        self.url = ""

    def serve_zip(self, members: dict[str, str]) -> ZipArchive:
        """Serve a zip archive with these files, and return what describes it."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in members.items():
                archive.writestr(name, text)
        self.content = buffer.getvalue()
        return ZipArchive(self.url, hashlib.md5(self.content).hexdigest())


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.n_requests += 1
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.content)))
            self.end_headers()
            self.wfile.write(state.content[: state.cut_at])

        def log_message(self, *arguments) -> None:
            """Keep the output of the tests clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}/set_v1.zip"
        yield state
        http.shutdown()
        thread.join()
