# SPDX-License-Identifier: GPL-2.0-only
"""The side that sends requests to a running machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kvm.control import names
from kvm.control.server import ANSWER_S
from kvm.errors import UserError

_DESCRIBE_S = 2.0


def ask(name: str, what: str, *, timeout_s: float = ANSWER_S + 5, **words: Any) -> dict[str, Any]:
    """The machine's answer. Raises ``UserError`` with the reason of a refusal."""
    try:
        with names.connect(name, timeout_s) as connection:
            connection.sendall(json.dumps({"what": what, **words}).encode() + b"\n")
            line = b""
            while part := connection.recv(65536):
                line += part
    except OSError as error:
        raise UserError(
            f"the process of machine {name} does not answer: {error.strerror or error}",
            "look whether it hangs; ./invoke machine.list shows its pid",
        ) from error
    if not line:
        raise UserError(f"machine {name} ended before it answered", "nothing is left to be done")
    answer: dict[str, Any] = json.loads(line)
    if (error_text := answer.pop("error", None)) is not None:
        raise UserError(f"machine {name}: {error_text}", _mend(what))
    return answer


def _mend(what: str) -> str:
    return f"./invoke --help machine.{what} says what it takes"


def descriptions() -> Iterator[dict[str, Any]]:
    """Each running machine's name, pid, state, host, cpus, memory_mib, kernel, run and since."""
    for name in names.running():
        try:
            yield ask(name, "describe", timeout_s=_DESCRIBE_S)
        except UserError:
            yield {"name": name, "state": "no answer"}
