# SPDX-License-Identifier: GPL-2.0-only
"""Fetching verifies, resumes, falls back to other sources, and says why it could not."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.kernel import fetch
from kvm.kernel.pin import Pin, Source, SourceKind

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at any path ending in .xz; ``ranges`` records the requested ones."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path.endswith("sums"):
            body, start = f"{DIGEST}  linux.tar.xz\n".encode(), 0
        elif self.path.endswith(".xz"):
            wanted = self.headers.get("Range")
            self.server.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            body = CONTENT[start:]
        else:
            self.send_error(404)
            return
        if start and not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)


def tarball(url: str, sha256: str = DIGEST, sums: str = "") -> Source:
    return Source(SourceKind.TARBALL, url=url, sha256=sha256, sums=sums)


def get(cache: Path, *sources: Source) -> fetch.Fetched:
    return fetch.fetch(Pin("6.12.1", sources), cache, say=lambda text: None)


def test_a_tarball_is_fetched_once_and_verified(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        fetched = get(tmp_path, tarball(server.url("linux.tar.xz")))
        assert fetched.tarball is not None
        assert fetched.tarball.read_bytes() == CONTENT
    assert server.ranges == [None]


@pytest.mark.parametrize("have", [1, 1000, len(CONTENT)])
def test_an_interrupted_download_resumes(server: Server, tmp_path: Path, have: int) -> None:
    part = tmp_path / "sources" / f"{DIGEST}.tar.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:have])
    fetched = get(tmp_path, tarball(server.url("linux.tar.xz")))
    assert fetched.tarball is not None
    assert fetched.tarball.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={have}-"]


def test_a_wrong_checksum_is_refused_and_discarded(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sha256 is") as refused:
        get(tmp_path, tarball(server.url("linux.tar.xz"), sha256="0" * 64))
    assert "no source delivered kernel 6.12.1" in refused.value.message
    assert not list((tmp_path / "sources").glob("*.part"))


def test_a_sums_file_stands_in_for_a_checksum(server: Server, tmp_path: Path) -> None:
    source = tarball(server.url("linux.tar.xz"), sha256="", sums=server.url("sums"))
    assert get(tmp_path, source).tarball is not None
    other = tarball(server.url("other.tar.xz"), sha256="", sums=server.url("sums"))
    with pytest.raises(UserError, match=r"does not list other\.tar\.xz"):
        get(tmp_path / "second", other)


def test_the_next_source_is_tried(server: Server, tmp_path: Path) -> None:
    fetched = get(tmp_path, tarball(server.url("gone")), tarball(server.url("linux.tar.xz")))
    assert fetched.source.url.endswith("linux.tar.xz")


def test_without_network_every_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as failed:
        get(tmp_path, tarball("http://127.0.0.1:9/linux.tar.xz"))
    assert "127.0.0.1:9" in failed.value.message
    assert "check the network" in failed.value.hint


def test_only_a_newer_release_of_the_series_stands_in_for_a_pin_that_is_gone() -> None:
    source = Source(SourceKind.DEBIAN, package="linux-source-6.12", package_version="6.12.117-1")
    pin = Pin("6.12.117", (source,))
    offered = ["6.12.119-1~deb12u1", "6.12.121-2~deb12u1", "6.12.115-2~deb12u1", "6.13.1-1"]
    found = fetch._newest(pin, source, offered)
    assert found is not None
    assert (found[0], found[1].package_version) == ("6.12.121", "6.12.121-2~deb12u1")
    assert fetch._newest(pin, source, ["6.12.115-2~deb12u1", "6.12.117-1~deb12u1"]) is None
