# SPDX-License-Identifier: GPL-2.0-only
"""A run is repeated with all its options: none of a command is forgotten."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from invoke.parser.parser import Parser

from kvm.commands import boot as command
from kvm.commands import payload as payload_command
from kvm.commands import payload_suite as suite_command
from kvm.commands.payload_suite import SuiteOptions
from kvm.commands.words import Showing, SuiteWords
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.options import BootOptions
from kvm.run.payload.options import PayloadOptions
from kvm.spec.fields import read
from support.asked import boot_options

# These options act beside the run, or on its result.
_BOOT_ASIDE = {"json", "verbose", "dry_run", "timeline", "compare"}
_PAYLOAD_ASIDE = {"json", "output", "list"}

# Words for options whose value must be a special one; all others get a generated word.
_SAMPLES = {
    "configitem": "CONFIG_X=y",
    "cpus": "2",
    "pin": "0-3",
    "memory": "512M",
    "host": "lab",
    "protocol": "pvh",
    "events": "none",
    "transport": "pci",
    "ring": "packed",
    "balloon": "64",
    "timeout": "7.5",
    "deadline": "1000",
    "kvm_device": "/dev/kvm2",
    "vfio_pci": "0000:00:10.0",
    "lab_device": "edu",
    "net": "user",
    "tty": "2",
    "vnc": "auto",
    "display": "640x480",
    "append": "a=1 b",
    "name": "web",
}


def _context(name: str) -> Any:
    import tasks

    return next(c for c in tasks.namespace.to_contexts() if c.name == name)


def _parsed(name: str, words: list[str]) -> dict[str, Any]:
    """The arguments with which the command's task is called."""
    import tasks

    (found,) = Parser(contexts=tasks.namespace.to_contexts()).parse_argv([name, *words])
    return dict(found.as_kwargs)


def _booted(words: list[str], monkeypatch: pytest.MonkeyPatch) -> BootOptions:
    found: list[BootOptions] = []

    def boot(project: Project, options: BootOptions, *_: object) -> tuple[None, int]:
        found.append(options)
        return None, 0

    monkeypatch.setattr(command, "boot_and_tell", boot)
    monkeypatch.setattr(command, "_require_clone", lambda *_: None)  # there is no such snapshot
    cut = words.index("--") if "--" in words else len(words)
    given = _parsed("boot", words[:cut])
    with Progress(live=False) as progress:
        options = read(BootOptions, given, command=tuple(words[cut + 1 :]))
        command.main(Project.find(), progress, options, read(Showing, given))
    return found[0]


def _word(name: str, takes_value: bool, folder: Path) -> str:
    """The option with a value, a file if it has no sample."""
    option = f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}"
    if not takes_value:
        return option
    value = _SAMPLES.get(name)
    if value is None:
        file = folder / name
        if name in ("share", "root"):
            file.mkdir(exist_ok=True)
        else:
            file.touch()  # an empty file is also a valid file of known warnings
        value = str(file)
    return f"{option}={value}"


def _words(name: str, aside: set[str], folder: Path) -> dict[str, str]:
    arguments = [a for a in _context(name).args.values() if not a.positional]
    options = {
        f"no-{a.name}" if a.default is True else a.name: a.takes_value
        for a in arguments
        if a.name not in aside
    }
    return {name: _word(name, takes, folder) for name, takes in options.items()}


def test_every_option_of_a_boot_is_said_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = _words("boot", _BOOT_ASIDE, tmp_path)
    default = boot_options()
    seen = set()
    for name, word in words.items():
        needed = ["--vnc=auto"] if name == "display" else []
        asked = _booted([*needed, word], monkeypatch)
        changed = {f.name for f in fields(asked) if getattr(asked, f.name) != f.default}
        assert changed, f"{word} changes nothing: give a sample that does"
        seen |= changed
        again = _booted(shlex.split(asked.arguments()), monkeypatch)
        assert again == asked, f"{word} is not repeated"
    assert seen | {"command"} == {f.name for f in fields(default)}


def test_all_of_it_at_once_is_said_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # They exclude a command, a lab's device, the debug port and a lab's device.
    alone = {"shell", "host", "kernel", "hold_host"}
    words = [w for n, w in _words("boot", _BOOT_ASIDE, tmp_path).items() if n not in alone]
    asked = _booted([*words, "--", "sh", "-c", "exit 7"], monkeypatch)
    assert _booted(shlex.split(asked.arguments()), monkeypatch) == asked


def _payload(words: list[str], monkeypatch: pytest.MonkeyPatch) -> PayloadOptions | SuiteOptions:
    found: list[Any] = []

    def one(project: Project, progress: Progress, options: object, **_: object) -> int:
        found.append(options)
        return 0

    monkeypatch.setattr(payload_command, "run_one", one)
    monkeypatch.setattr(suite_command, "main", one)
    with Progress(live=False) as progress:
        given = _parsed("payload", words)
        asked = read(PayloadOptions, given), read(SuiteWords, given)
        payload_command.main(Project.find(), progress, *asked)
    return found[0]  # type: ignore[no-any-return]


def test_every_option_of_a_payload_is_said_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = str(tmp_path / "file")
    (tmp_path / "file").touch()
    aside = {*_PAYLOAD_ASIDE, "suite", "k", "g", "expected"}
    seen = set()
    for word in _words("payload", aside, tmp_path).values():
        asked = _payload([payload, word], monkeypatch)
        assert isinstance(asked, PayloadOptions)
        seen |= {f.name for f in fields(asked) if getattr(asked, f.name) != f.default}
        assert _payload(shlex.split(asked.repeat), monkeypatch) == asked, word
    assert seen | {"expected", "again"} == {f.name for f in fields(PayloadOptions)}


def test_every_option_of_a_suite_is_said_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = {*_PAYLOAD_ASIDE, "suite", "append", "initrd"}
    words = _words("payload", aside, tmp_path)
    words |= {"cpus again": "--cpus=1", "timeout again": "--timeout=90"}  # a payload's defaults
    plain = _payload([str(tmp_path), "--suite"], monkeypatch)
    for word in words.values():
        asked = _payload([str(tmp_path), "--suite", word], monkeypatch)
        assert isinstance(asked, SuiteOptions)
        assert asked != plain, word
        assert _payload(shlex.split(asked.arguments()), monkeypatch) == asked, word
