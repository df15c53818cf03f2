# SPDX-License-Identifier: GPL-2.0-only
"""Turns kconfig fragments into a ``.config`` in which every requested symbol survived.

The fragments are merged over tinyconfig by the kernel's own merge_config.sh and olddefconfig;
a request that the kernel then drops is an error that says why.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from kvm import process
from kvm.errors import UsageError, UserError, usage
from kvm.files import write_whole
from kvm.kernel.identity import SourceId
from kvm.kernel.toolchain import Toolchain
from kvm.kernel.tree import Mode, Tree
from kvm.say import Say

_SET = re.compile(r"(CONFIG_[A-Za-z0-9_]+)=(.*)")
_UNSET = re.compile(r"# (CONFIG_[A-Za-z0-9_]+) is not set")


@dataclass(frozen=True, slots=True)
class Request:
    """One symbol a fragment asks for; ``value`` is ``n`` for "is not set"."""

    symbol: str
    value: str
    where: str
    ours: bool = False  # requested by a fragment of linux/configs, not by the user


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    """A named configuration: its fragments in order, and single items on top of them."""

    name: str
    fragments: tuple[Path, ...]
    items: tuple[str, ...] = ()
    folder: Path | None = None  # of this project's fragments

    @classmethod
    def named(cls, name: str, folder: Path, items: Iterable[str] = ()) -> ConfigSpec:
        """``default``, or that plus ``linux/configs/NAME.config`` or plus a file given by path.

        Raises ``UsageError`` for another name, and for items that are no config lines.
        """
        with usage():
            _items(items := tuple(items))
        base = folder / "default.config"
        names = sorted(path.stem for path in folder.glob("*.config"))
        if name == "default":
            return cls(name, (base,), items, folder)
        if name in names:
            return cls(name, (base, folder / f"{name}.config"), items, folder)
        if name.endswith(".config") and Path(name).is_file():
            path = Path(name).resolve()
            return cls(path.stem, (base, path), items, folder)
        close = difflib.get_close_matches(name, names, 1)
        raise UsageError(
            f"there is no kernel config {name!r} in {folder}",
            (f"did you mean {close[0]}? " if close else "")
            + f"known: {', '.join(names)}; or give a path to a .config fragment",
        )

    def requests(self) -> tuple[Request, ...]:
        """Every request; the last one for a symbol wins. Syntax errors name file and line."""
        found: dict[str, Request] = {}
        for path in self.fragments:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                request = _parse(line.strip(), f"{path.name}:{number}")
                if request is not None:
                    ours = path.parent == self.folder
                    found[request.symbol] = replace(request, ours=ours)
        found |= {request.symbol: request for request in _items(self.items)}
        return tuple(found.values())


def _items(items: Iterable[str]) -> tuple[Request, ...]:
    named = ((item, item if item.startswith("CONFIG_") else f"CONFIG_{item}") for item in items)
    requests = (_parse(text, f"--configitem {item}") for item, text in named)
    return tuple(request for request in requests if request is not None)


def _parse(line: str, where: str) -> Request | None:
    if matched := _SET.fullmatch(line):
        return Request(matched.group(1), matched.group(2).strip(), where)
    if matched := _UNSET.fullmatch(line):
        return Request(matched.group(1), "n", where)
    if not line or line.startswith("#"):
        return None
    raise UserError(
        f"{where}: {line!r} is no kconfig line", "write CONFIG_NAME=y or # CONFIG_NAME is not set"
    )


def resolve(
    tree: Tree, spec: ConfigSpec, source: SourceId, toolchain: Toolchain, out: Path, say: Say
) -> str:
    """Bring ``out/.config`` up to date with ``spec``; return its text.

    Nothing runs if the fragments, the tree's Kconfig files and the toolchain are unchanged. The
    file is only rewritten if its content changes, so kbuild rebuilds no more than it must.
    """
    requests = spec.requests()
    key = _key(requests, source, toolchain)
    stamp = out / ".config.tools-kvm"
    config = out / ".config"
    if stamp.exists() and config.exists() and stamp.read_text() == key + _digest(config):
        return config.read_text()
    say(f"resolving the {spec.name} config")
    text = _generate(tree, requests, toolchain, out)
    for symbol in _check(tree, requests, text):
        say(f"this tree has no {symbol}: left out")
    if not config.exists() or config.read_text() != text:
        config.write_text(text)
    write_whole(stamp, key + _digest(config))
    return text


def _key(requests: tuple[Request, ...], source: SourceId, toolchain: Toolchain) -> str:
    asked = "\n".join(f"{r.symbol}={r.value}" for r in requests)
    text = f"{asked}\0{source.kconfig}\0{toolchain.identity()}"
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _generate(tree: Tree, requests: tuple[Request, ...], toolchain: Toolchain, out: Path) -> str:
    """Run tinyconfig, requests and olddefconfig, not on the ``.config`` that make compares with."""
    work = out / "config.work"
    work.mkdir(parents=True, exist_ok=True)
    target = work / ".config"
    environment = toolchain.sealed() | {"KCONFIG_CONFIG": str(target)}
    make: tuple[str | Path, ...] = (
        *("make", "-s", "-C", tree.path, f"O={out}"),
        *toolchain.arguments(),
    )
    process.run((*make, "tinyconfig"), env=environment)
    merged = work / "requests.config"
    merged.write_text(
        "".join(
            f"# {r.symbol} is not set\n" if r.value == "n" else f"{r.symbol}={r.value}\n"
            for r in requests
        )
    )
    script = tree.path / "scripts" / "kconfig" / "merge_config.sh"
    process.run((script, "-m", "-O", work, target, merged), cwd=tree.path, env=environment)
    process.run((*make, "olddefconfig"), env=environment)
    return target.read_text()


def _check(tree: Tree, requests: tuple[Request, ...], text: str) -> tuple[str, ...]:
    """Raise if a requested symbol did not survive, naming each and its dependencies.

    An external tree may lack symbols that this project's fragments request (from
    ``linux/patches``, or a newer kernel): returns the symbols that it does not know.
    """
    actual = {
        matched.group(1): matched.group(2)
        for line in text.splitlines()
        if (matched := _SET.match(line))
    }
    lost = [r for r in requests if actual.get(r.symbol, "n") != r.value]
    if not lost:
        return ()
    known = _symbols(tree)
    foreign = tree.mode is not Mode.PINNED
    unknown = [r for r in lost if r.symbol.removeprefix("CONFIG_") not in known]
    left_out = tuple(r.symbol for r in unknown if foreign and r.ours)
    lost = [r for r in lost if r.symbol not in left_out]
    if not lost:
        return left_out
    lines = []
    for request in lost:
        name = request.symbol.removeprefix("CONFIG_")
        lines.append(f"{request.where}: {request.symbol}={request.value} did not survive")
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean CONFIG_{close[0]}?" if close else ""
            lines.append(f"    the kernel has no such symbol{hint}")
            continue
        got = actual.get(request.symbol, "n")
        lines.append(f"    resolved to {got}; defined at {', '.join(known[name].places)}")
        lines += [f"    {depends}" for depends in known[name].depends]
    raise UserError(
        f"{len(lost)} config symbol(s) were lost:\n  " + "\n  ".join(lines),
        "enable what they depend on in the fragment, or drop the request",
    )


@dataclass(slots=True)
class _Symbol:
    places: list[str]
    depends: list[str]


def _symbols(tree: Tree) -> dict[str, _Symbol]:
    """Every kconfig symbol with the place of its definition and its ``depends on`` and ``if``."""
    symbols: dict[str, _Symbol] = {}
    for name in tree.repository.call(
        "ls-files", "--", "*Kconfig*", ":!scripts/kconfig/tests"
    ).splitlines():
        relative = Path(name)
        path = tree.path / relative
        other_arch = relative.parts[0] == "arch" and relative.parts[1:2] not in ((), ("x86",))
        if not path.is_file() or other_arch or relative.parts[:2] == ("arch", "um"):
            continue
        current: _Symbol | None = None
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if matched := re.match(r"\s*(?:menu)?config\s+(\w+)\s*$", line):
                current = symbols.setdefault(matched.group(1), _Symbol([], []))
                current.places.append(f"{relative}:{number}")
            elif current is not None and re.match(r"\s+(depends on|select .* if)\b", line):
                current.depends.append(line.strip())
            elif line and not line[0].isspace():
                current = None
    return symbols
