# SPDX-License-Identifier: GPL-2.0-only
"""Tasks whose options are the fields of dataclasses (``kvm/spec/fields.py``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from invoke.context import Context
from invoke.parser.argument import Argument
from invoke.tasks import Task

from kvm import command_line
from kvm.cli import call
from kvm.errors import usage
from kvm.spec.fields import Option, options, read


class DerivedTask(Task[Any]):
    """``groups`` are dataclasses; if two have an option of the same name, it is typed once."""

    def __init__(self, body: Callable[..., None], name: str, groups: tuple[type, ...]) -> None:
        self.options: dict[str, Option] = {}
        for group in groups:
            for one in options(group).values():
                self.options.setdefault(one.name, one)
        super().__init__(body, name=name, positional=[])

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        return [_argument(one) for one in self.options.values()]


def task(run: Callable[..., int | None], *groups: type, name: str = "") -> Task[Any]:
    """A task that calls ``run(project, progress, *values)``, with a value of each group of options.

    ``run`` returns the exit code, has the help as its docstring, and imports the command itself, so
    that ``--list`` need not. A field ``argv`` or ``command`` gets the words after ``--``.
    """

    def body(c: Context, **typed: Any) -> None:
        with call.command() as (project, progress):
            with usage():
                values: list[Any] = [read(group, typed, **_after_dashes(group)) for group in groups]
            code = run(project, progress, *values)
        call.finish(code or 0)

    body.__doc__ = run.__doc__
    return DerivedTask(body, name or run.__name__.strip("_").replace("_", "-"), groups)


def _after_dashes(group: Any) -> dict[str, tuple[str, ...]]:
    names = {one.name for one in fields(group)} & {"argv", "command"}
    return dict.fromkeys(names, command_line.after_dashes())


def _argument(one: Option) -> Argument:
    name = one.name.replace("_", "-")
    is_flag = one.kind is bool
    return Argument(
        names=(name, one.short) if one.short else (name,),
        attr_name=one.name if name != one.name else None,
        kind=one.kind,
        default=one.default if is_flag else [] if one.kind is list else None,
        help=one.help,
        positional=one.positional,
    )
