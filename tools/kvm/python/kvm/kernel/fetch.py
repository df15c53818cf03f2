# SPDX-License-Identifier: GPL-2.0-only
"""Gets the pinned kernel source into the cache, verified, from the first source that has it.

Downloads resume where they stopped; nothing is used before its checksum is verified.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kvm import process
from kvm.errors import UserError
from kvm.kernel.pin import Pin, Source, SourceKind
from kvm.lock import locked
from kvm.say import Say

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of a fetch: a tarball, or a bare git repository and the commit in it."""

    version: str
    source: Source
    tarball: Path | None = None
    repository: Path | None = None
    commit: str = ""


def fetch(pin: Pin, cache: Path, *, say: Say, pinned_only: bool = False) -> Fetched:
    """The pinned kernel, from the cache or the first source that delivers it.

    If every source of the pinned version is gone, a newer release of the same stable series is
    named, and used unless ``pinned_only`` (``--locked``).
    """
    folder = cache / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    with locked(folder / "fetch.lock", "kernel.fetch", say=say):
        for source in pin.sources:
            try:
                return _from_source(pin.version, source, folder, say)
            except (UserError, OSError, http.client.HTTPException) as problem:
                failures.append(f"{source.describe()}: {problem}")
                say(f"{source.describe()} did not deliver: {str(problem).splitlines()[0]}")
        newer = _newer_debian(pin)
        if newer is not None and not pinned_only:
            version, source = newer
            say(f"{pin.version} is gone from every source; using {version} ({source.describe()})")
            try:
                return _from_source(version, source, folder, say)
            except (UserError, OSError) as problem:
                failures.append(f"{source.describe()}: {problem}")
    offer = f"{newer[0]} is offered: run without --locked to use it; " if newer else ""
    raise UserError(
        f"no source delivered kernel {pin.version}:\n  " + "\n  ".join(failures),
        f"{offer}check the network, or add a source to linux/pin.toml "
        "(kind = tarball with url = file:///…, or kind = git with a local path)",
    )


def _from_source(version: str, source: Source, folder: Path, say: Say) -> Fetched:
    if source.kind is SourceKind.GIT:
        return _git(version, source, folder, say)
    tarball = folder / f"{source.sha256 or version}.tar{_suffix(source)}"
    if tarball.exists() and (not source.sha256 or sha256_of(tarball) == source.sha256):
        return Fetched(version, source, tarball=tarball)
    if source.kind is SourceKind.DEBIAN:
        _debian(source, tarball, folder, say)
    else:
        _tarball(source, tarball, say)
    return Fetched(version, source, tarball=tarball)


def _suffix(source: Source) -> str:
    return Path(source.member or source.url).suffix


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, expected: str, what: str) -> None:
    actual = sha256_of(path)
    if actual != expected:
        path.unlink()
        raise UserError(
            f"{what}: sha256 is {actual}, the pin says {expected}",
            "the download was discarded; correct linux/pin.toml if the new sum is the right one",
        )


def _debian(source: Source, tarball: Path, folder: Path, say: Say) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise UserError("apt-get and dpkg-deb are not on this machine")
    installed = Path("/") / source.member
    if installed.exists() and sha256_of(installed) == source.sha256:
        shutil.copyfile(installed, tarball.with_suffix(".part"))
        os.replace(tarball.with_suffix(".part"), tarball)
        return
    work = folder / f"{source.package}.download"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        deb = _download_deb(source, work, say)
        say(f"unpacking {deb.name}")
        process.run(("dpkg-deb", "--extract", deb, work / "root"))
        member = work / "root" / source.member
        if not member.exists():
            raise UserError(f"{deb.name} holds no {source.member}", "fix member in linux/pin.toml")
        if source.sha256:
            _verify(member, source.sha256, f"{deb.name}:{source.member}")
        os.replace(member, tarball)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download_deb(source: Source, work: Path, say: Say) -> Path:
    # apt's sandbox user can't write here; for root that only causes a warning.
    argv = ("apt-get", "download", f"{source.package}={source.package_version}")
    say(f"downloading {source.package}={source.package_version} (about 150 MB)")
    first = process.run(argv, cwd=work, check=False, timeout_s=900)
    if not first.ok and os.geteuid() == 0:
        say("refreshing the package lists")
        process.run(("apt-get", "update"), check=False, timeout_s=300)
        first = process.run(argv, cwd=work, check=False, timeout_s=900)
    found = sorted(work.glob("*.deb"))
    if not first.ok or not found:
        words = [line for line in first.output.splitlines() if line.startswith("E:")]
        raise UserError(" ".join(words) or "apt-get download failed", "try apt-get update")
    return found[0]


def _newer_debian(pin: Pin) -> tuple[str, Source] | None:
    """A newer package of the same series that apt offers, with its version."""
    for source in pin.sources:
        if source.kind is not SourceKind.DEBIAN or shutil.which("apt-cache") is None:
            continue
        listing = process.run(("apt-cache", "madison", source.package), check=False).output
        return _newest(pin, source, re.findall(r"\|\s*(\S+)\s*\|", listing))
    return None


def _newest(pin: Pin, source: Source, offered: list[str]) -> tuple[str, Source] | None:
    """The newest package version in the pin's series that is newer than the pin."""
    found: list[tuple[int, str]] = []
    for package_version in offered:
        matched = re.match(rf"{re.escape(pin.series)}\.(\d+)", package_version)
        if matched:
            found.append((int(matched.group(1)), package_version))
    pinned = int(pin.version.split(".")[2].split("-")[0]) if pin.version.count(".") > 1 else 0
    newer = [pair for pair in found if pair[0] > pinned]
    if not newer:
        return None
    sublevel, package_version = max(newer)
    # apt itself verifies the package against its signed index.
    chosen = replace(source, package_version=package_version, sha256="")
    return f"{pin.series}.{sublevel}", chosen


def _tarball(source: Source, tarball: Path, say: Say) -> None:
    expected = source.sha256 or _sum_from(source)
    part = tarball.with_suffix(".part")
    _download(source.url, part, say)
    _verify(part, expected, source.url)
    os.replace(part, tarball)


def _sum_from(source: Source) -> str:
    name = source.url.rsplit("/", 1)[-1]
    with _open(source.sums) as response:
        for line in response.read().decode(errors="replace").splitlines():
            digest, _, file = line.partition(" ")
            if file.strip().lstrip("*") == name and re.fullmatch(r"[0-9a-f]{64}", digest):
                return digest
    raise UserError(f"{source.sums} does not list {name}", "give sha256 in linux/pin.toml")


def _download(url: str, part: Path, say: Say) -> None:
    """Fetch ``url`` into ``part``, continuing an interrupted download."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with contextlib.suppress(_WholeAlready), _open(url, headers) as response:
        _receive(url, response, part, have, say)


def _receive(url: str, response: http.client.HTTPResponse, part: Path, have: int, say: Say) -> None:
    resumed = getattr(response, "status", 200) == 206
    total = int(response.headers.get("Content-Length") or 0) + (have if resumed else 0)
    done = have if resumed else 0
    with part.open("ab" if resumed else "wb") as file:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            share = f" of {total >> 20}" if total else ""
            say(f"downloading {url.rsplit('/', 1)[-1]}: {done >> 20}{share} MiB")
    if total and done < total:
        raise UserError(
            f"{url}: the connection ended after {done} of {total} bytes", "run it again"
        )


class _WholeAlready(Exception):
    """The server has nothing beyond what we have (HTTP 416); the checksum decides."""


@contextlib.contextmanager
def _open(url: str, headers: dict[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            yield response
    except urllib.error.URLError as failed:
        if isinstance(failed, urllib.error.HTTPError) and failed.code == 416:
            raise _WholeAlready from failed
        raise UserError(f"{url}: {failed.reason}", "check the network") from failed


def _git(version: str, source: Source, folder: Path, say: Say) -> Fetched:
    repository = folder / "git"
    if not (repository / "HEAD").exists():
        process.run(("git", "init", "--quiet", "--bare", repository))
    say(f"fetching {source.ref} from {source.url}")
    reference = f"refs/pins/{version}"
    process.run(
        (
            "git",
            "-C",
            repository,
            "fetch",
            "--quiet",
            "--depth=1",
            source.url,
            f"+{source.ref}:{reference}",
        ),
        timeout_s=3600,
        env={"GIT_TERMINAL_PROMPT": "0"},
    )
    argv = ("git", "-C", repository, "rev-parse", f"{reference}^{{commit}}")
    commit = process.capture(argv).decode().strip()
    if source.commit and commit != source.commit:
        raise UserError(f"{source.url} {source.ref} is {commit}, the pin says {source.commit}")
    return Fetched(version, source, repository=repository, commit=commit)
