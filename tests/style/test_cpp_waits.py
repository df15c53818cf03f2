# SPDX-License-Identifier: GPL-2.0-only
"""No device waits for the host: code that runs with a device's mutex held never blocks.

It checks the folders of devices, buses and queues, and files of machine/ that implement one of
their interfaces, because devices call them. A call that may block is one of the words below;
sockets may be used with MSG_DONTWAIT, and epoll_wait() with a timeout of 0. The exceptions are
listed with their number and reason. File accesses of disks and shares are not checked here: they
belong to the backend, and are done by another thread where they may take long.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

_SRC = PurePosixPath("tools/kvm/src")
_FOLDERS = frozenset(("bus", "devices", "pci", "virtio"))
# A class that devices, buses or the event loop use through an interface.
_IMPLEMENTS = re.compile(
    r"^(?:class|struct) \w+[^;{]*:[^;{]*\b(?:base|bus|devices|pci|virtio)::\w+[^;{]*\{", re.M
)

_BLOCKS = re.compile(
    r"(?<![\w.>])(?:::|std::this_thread::)?"
    r"(?P<call>p?poll|pselect|epoll_p?wait2?|u?sleep|(?:clock_)?nanosleep|sleep_for|sleep_until"
    r"|accept4?|waitpid|flock|sem_wait|pthread_cond_\w+|syscall|getrandom|fsync|fdatasync"
    r"|preadv?2?|pwritev?2?|readv|writev|io_uring_(?:wait|submit_and_wait)\w*)\("
    r"|[.>](?P<member>wait|wait_for|wait_until|join)\("
    r"|(?<![\w.>])(?P<socket>(?:send|recv)(?:to|from|m?msg)?|connect)"
    r"\([\w.>-]*(?:fd|socket)\w*(?:\(\)|\.get\(\))*,"
)

# (file, word): how often, and why it is allowed there.
_ALLOWED: dict[tuple[str, str], tuple[int, str]] = {
    ("virtio/backlog.cpp", "wait"): (1, "its own thread, under a mutex of its own"),
    ("virtio/backlog.cpp", "wait_until"): (1, "the same"),
    ("virtio/backlog.cpp", "join"): (1, "stop(), called without the device's mutex"),
    ("virtio/device/block/block.cpp", "wait"): (
        1,
        "drain(): a reset waits for the request at hand",
    ),
    ("virtio/device/rng.cpp", "getrandom"): (1, "waits at the host's boot alone"),
    ("machine/streams/output_pipe.cpp", "wait_until"): (1, "wait_sent(); its thread holds nothing"),
    ("machine/life.cpp", "wait"): (1, "the destructor"),
    ("machine/life.cpp", "wait_for"): (1, "wait(), on the host program's thread"),
    ("machine/life.cpp", "join"): (1, "the destructor"),
}


@pytest.fixture(scope="module")
def sources(texts: dict[str, str]) -> dict[str, str]:
    """The core's C++ files, by their path from tools/kvm/src."""
    return {
        path.relative_to(_SRC).as_posix(): text
        for path, text in ((PurePosixPath(name), text) for name, text in texts.items())
        if path.is_relative_to(_SRC) and path.suffix in (".hpp", ".cpp")
    }


def checked(sources: dict[str, str]) -> set[str]:
    """The files that devices consist of, or call."""
    found = {name for name in sources if PurePosixPath(name).parts[0] in _FOLDERS}
    for name, text in sources.items():
        if name.startswith("machine/") and _IMPLEMENTS.search(text):
            stem = PurePosixPath(name).with_suffix("")
            found |= {f"{stem}.hpp", f"{stem}.cpp"} & sources.keys()
    return found


def waits(text: str) -> list[str]:
    """The name of each call that may block."""
    code = re.sub(r"//[^\n]*", "", text)
    found = []
    for match in _BLOCKS.finditer(code):
        statement = code[match.start() : code.find(";", match.start())]
        word = match["call"] or match["member"] or match["socket"]
        if match["socket"] and "MSG_DONTWAIT" in statement:
            continue
        if word == "epoll_wait" and statement.rstrip().endswith(", 0)"):
            continue
        found.append(word)
    return found


def violations(sources: dict[str, str]) -> list[str]:
    found = []
    for name in sorted(checked(sources)):
        words = waits(sources[name])
        for word in sorted(set(words)):
            allowed, _ = _ALLOWED.get((name, word), (0, ""))
            if words.count(word) > allowed:
                found.append(f"{_SRC / name}: {word}() may block; hand the wait to the event loop")
    return found


def test_nothing_that_a_device_calls_blocks(sources: dict[str, str]) -> None:
    found = violations(sources)
    assert not found, "\n".join(found)


def test_every_exception_is_used(sources: dict[str, str]) -> None:
    unused = [
        key
        for key, (number, _) in _ALLOWED.items()
        if waits(sources.get(key[0], "")).count(key[1]) != number
    ]
    assert not unused, unused


@pytest.mark.parametrize(
    ("code", "blocks"),
    [
        ("if (poll(fds.data(), fds.size(), -1) < 0) return;", True),
        ("::poll(fds.data(), 1, 5);", True),
        ("std::this_thread::sleep_for(1ms);", True),
        ("changed_.wait(lock);", True),
        ("send(socket_, data, size,\n  MSG_NOSIGNAL);", True),
        ("send(socket_, data, size,\n  MSG_NOSIGNAL | MSG_DONTWAIT);", False),
        ("epoll_wait(fd_.get(), events.data(), 16, -1);", True),
        ("epoll_wait(fd_.get(), events.data(), 16, 0);", False),
        ("void Input::send() {", False),
        ("if (!send({word})) return;", False),
        ("// changed_.wait(lock);", False),
    ],
)
def test_calls_that_block_are_known(code: str, *, blocks: bool) -> None:
    assert bool(waits(code)) == blocks


def test_what_a_device_calls_in_the_machine_is_checked_too() -> None:
    sink = "class Pipe final : public devices::ByteSink {\n"
    files = {"machine/pipe.hpp": sink, "machine/pipe.cpp": "poll(fds.data(), 1, -1);"}
    assert violations(files)
    assert not violations({**files, "machine/pipe.hpp": "class Pipe {\n"})
