# SPDX-License-Identifier: GPL-2.0-only
"""A dataclass field that a user may set, defined once: type, default, help, choices, words.

    hugepages: bool = option(False, help="take guest memory from the host's pool of huge pages")

A command's words, its help, a run's ``repeat``, and the check of choices all follow from that
line. The kind of a word follows from the default: a flag from a bool, a number from an int or a
float, an option that may be given several times from (), text from the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from kvm.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)

_KEY = "option"


@dataclass(frozen=True, slots=True)
class Option:
    """``name`` is the word on the command line, with ``_`` for ``-``; ``short`` its one letter.

    ``read`` converts what was typed, or each item if there may be several, to the value, and raises
    ``UserError``; ``say`` is its inverse. Words that are ``joined`` make one text.
    """

    name: str
    default: Any
    help: str
    short: str = ""
    choices: tuple[str, ...] = ()
    read: Callable[[Any], Any] | None = None
    say: Callable[[Any], str] = str
    joined: bool = False
    positional: bool = False

    @property
    def repeatable(self) -> bool:
        return self.joined or self.default == ()

    @property
    def kind(self) -> type:
        """The type of the typed word."""
        if self.repeatable:
            return list
        plain = self.read is None and isinstance(self.default, (bool, int, float))
        return type(self.default) if plain else str

    def value(self, typed: Any) -> Any:
        """The value of a typed word; the default for None. Raises ``UserError`` naming it."""
        if self.joined:
            return " ".join(typed or ())
        if self.repeatable:
            return tuple(map(self.read, typed or ())) if self.read else tuple(typed or ())
        if typed is None or (typed == "" and not self.default):
            return self.default
        return self.read(typed) if self.read else typed

    def typed(self, value: Any) -> Any:
        """The inverse of ``value``."""
        if self.joined:
            return [value]
        if self.repeatable:
            return [self.say(one) for one in value]
        return value if self.kind is not str else self.say(value)

    def check(self, value: Any) -> None:
        """Raise ``UserError`` for a value that is none of the choices."""
        if self.choices and value not in self.choices:
            raise UserError(f"{self.flag} {value}", f"use one of {', '.join(self.choices)}")

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}" if len(self.name) > 1 else f"-{self.name}"

    def words(self, value: Any) -> Iterator[str]:
        """The words to type for this value; none for the default."""
        if value == self.default:
            return
        for one in value if self.default == () else (value,):
            if isinstance(one, bool):
                yield self.flag if one else f"--no-{self.flag.removeprefix('--')}"
            else:
                yield f"{self.flag}={self._said(one)}"

    def _said(self, value: Any) -> str:
        text = self.say(value)
        return text.removesuffix(".0") if isinstance(value, float) else text


def option(default: Any = MISSING, *, help: str, name: str = "", **more: Any) -> Any:
    """A field that a user may set; see ``Option`` for its keywords. No default: required."""
    return field(default=default, metadata={_KEY: {"help": help, "name": name, **more}})


def like(cls: type[DataclassInstance], name: str, **changes: Any) -> Any:
    """A field like that of ``cls``, except for the changes."""
    known = next(one for one in fields(cls) if one.name == name)
    default = changes.pop("default", known.default)
    return field(default=default, metadata={_KEY: {**known.metadata[_KEY], **changes}})


def options(cls: type[DataclassInstance] | DataclassInstance) -> dict[str, Option]:
    """The options of a dataclass by the names of its fields."""
    return {one.name: _option(one) for one in fields(cls) if _KEY in one.metadata}


def _option(one: Field[Any]) -> Option:
    given: Mapping[str, Any] = one.metadata[_KEY]
    default = "" if one.default is MISSING else one.default
    return Option(**{**given, "name": given["name"] or one.name, "default": default})


def read(cls: type[T], typed: Mapping[str, Any], **others: Any) -> T:
    """A value from typed words, by the options' names; a missing one or None is the default.
    ``others`` are fields that are no options.

    Raises ``UserError`` naming the wrong word.
    """
    values = {field: one.value(typed.get(one.name)) for field, one in options(cls).items()}
    return cls(**values, **others)


def check_choices(value: DataclassInstance) -> None:
    """Raise ``UserError`` naming the first value that is not among its field's choices."""
    for name, one in options(value).items():
        one.check(getattr(value, name))


def typed(value: DataclassInstance) -> dict[str, Any]:
    """What ``read`` makes this value of: a typed word (JSON) for each option that differs."""
    return {
        one.name: one.typed(getattr(value, name))
        for name, one in options(value).items()
        if getattr(value, name) != one.default
    }


def words(value: DataclassInstance) -> Iterator[str]:
    """The command line for this value: each option that differs from its default."""
    for name, one in options(value).items():
        if not one.positional:
            yield from one.words(getattr(value, name))
