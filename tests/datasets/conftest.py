"""Fixtures: a local web server for downloads, with faults on demand, and shared checks."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from numpy.testing import assert_array_equal

from skhybrid.datasets._fetch_from_archive import ZipArchive


class Server:
    """State of the server; tests set the attributes.

    Attributes
    ----------
    content : bytes
        Body of its answers.
    cut_at : int or None
        Number of bytes after which it closes the connection, before the announced length.
    status : int
        The HTTP status of its answers.
    n_requests : int
        Number of requests so far.
    """

    def __init__(self) -> None:
        self.content = b""
        self.cut_at: int | None = None
        self.status = 200
        self.n_requests = 0
        self.url = ""

    def serve_zip(self, members: dict[str, str]) -> ZipArchive:
        """Serve a zip archive with these files; return its address and MD5 sum."""
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


@pytest.fixture
def everything_in():
    """Return a function that lists all files and folders in a folder."""
    return lambda folder: sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def check_light_tunnel_ranges():
    """Return a function that checks the columns of the light tunnel and their ranges."""

    def check(data, subset):
        limits = {
            "red": (171, 255) if subset == "red_shift" else (0, 85),
            "green": (0, 85),
            "blue": (0, 85),
            "pol_1": (66, 104) if subset == "polarizer_shift" else (-15, 24),
            "pol_2": (-15, 24),
            "l_31": (0, 170),
            "l_32": (0, 170),
        }
        assert list(data.columns) == list(limits)
        for name, (low, high) in limits.items():
            assert low <= data[name].min() < data[name].max() <= high, name
            # The rows fill the range: a wrong column or a wrong scale would not.
            assert data[name].max() - data[name].min() > 0.9 * (high - low), name
        for name in ("red", "green", "blue", "l_31", "l_32"):
            assert_array_equal(data[name], data[name].round())

    return check
