# SPDX-License-Identifier: GPL-2.0-only
"""The page of all commands and options, made from the fields that define them.

python -m kvm.cli.reference >docs/options.md
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from invoke.collection import Collection
from invoke.loader import FilesystemLoader
from invoke.parser.argument import Argument
from invoke.tasks import Task

from kvm.cli.derived import DerivedTask
from kvm.project import Project
from kvm.spec.fields import Option

_HEAD = """\
# Commands and options

This page is made from the definitions of the options: `python -m kvm.cli.reference`. The same words
are in `./invoke --list` and `./invoke --help COMMAND`.
"""
_VALUES = {int: "N", float: "NUMBER"}


def page(commands: Collection) -> str:
    """The page in Markdown: a section for each command; commands with the same text share one."""
    sections: dict[str, list[str]] = {}
    for name in sorted(commands.task_names, key=lambda name: ("." in name, name)):
        sections.setdefault("\n".join(_section(commands[name])), []).append(name)
    titles = {text: ", ".join(f"`./invoke {name}`" for name in n) for text, n in sections.items()}
    return "\n".join([_HEAD, *(f"## {titles[text]}\n\n{text}" for text in sections)])


def _section(task: Task[Any]) -> Iterator[str]:
    text = ""
    for line in inspect.cleandoc(task.__doc__ or "").splitlines():
        example = line.startswith("./invoke")
        if example and text and not text.startswith("./invoke"):
            yield ""
        yield f"    {line}" if example else line
        text = line
    yield ""
    rows = [_row(argument, _option(task, argument)) for argument in task.get_arguments()]
    if rows:
        yield "| option | default | what it does |\n|---|---|---|"
        yield from rows
        yield ""


def _option(task: Task[Any], argument: Argument) -> Option | None:
    options = task.options if isinstance(task, DerivedTask) else {}
    return options.get(argument.attr_name or argument.name or "")


def _row(argument: Argument, option: Option | None) -> str:
    default = argument.default if option is None else option.default
    shown = option.say(default) if option and default else str(default or "")
    is_flag = argument.kind is bool
    names = sorted(argument.names, key=len, reverse=True)
    flags = [_flag(name, default is True) for name in names]
    value = "" if is_flag else f" {_value(argument, option)}"
    words = (
        f"`{', '.join(flags)}{value}`",
        f"`{shown}`" if shown and not is_flag else "",
        argument.help or "",
    )
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"


def _flag(name: str, on: bool) -> str:
    return f"-{name}" if len(name) == 1 else f"--[no-]{name}" if on else f"--{name}"


def _value(argument: Argument, option: Option | None) -> str:
    choices = option.choices if option is not None else ()
    return "|".join(choices) or _VALUES.get(argument.kind, "TEXT")


def main() -> None:
    """Print the page of this checkout's commands."""
    module, _ = FilesystemLoader(start=str(Project.find().root)).load("tasks")
    print(page(Collection.from_module(module)), end="")


if __name__ == "__main__":
    main()
