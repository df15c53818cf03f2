# SPDX-License-Identifier: GPL-2.0-only
"""Evaluates numbers in ``unittests.cfg``: ``4``, ``$MAX_SMP``, ``$(($MAX_SMP < 8 ? 2 : 8))``.

This is the part of the shell's arithmetic that test files use: integers, one variable,
``* / %``, ``+ -``, comparisons and the conditional.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+)|(?P<name>\$?\{?[A-Za-z_]\w*\}?)|(?P<sign>[<>=!]=|\S))")
_OUTER = re.compile(r"\$\(\((?P<inside>.*)\)\)", re.DOTALL)
_LEVELS: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b)},
    {
        "<": lambda a, b: int(a < b),
        ">": lambda a, b: int(a > b),
        "<=": lambda a, b: int(a <= b),
        ">=": lambda a, b: int(a >= b),
    },
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b, "/": lambda a, b: _divided(a, b), "%": lambda a, b: _rest(a, b)},
)


def value_of(text: str, variables: dict[str, int]) -> int:
    """The value. Raises ``ValueError`` that says what is wrong."""
    matched = _OUTER.fullmatch(text.strip())
    return _Parser(matched["inside"] if matched else text, variables).whole()


def _divided(a: int, b: int) -> int:
    if b == 0:
        raise ValueError("division by 0")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _rest(a: int, b: int) -> int:
    return a - b * _divided(a, b)


class _Parser:
    """A recursive-descent parser; ``_at`` is the index of the next token."""

    def __init__(self, text: str, variables: dict[str, int]) -> None:
        self._text = text
        self._variables = variables
        self._tokens = list(_TOKEN.finditer(text.strip()))
        self._at = 0

    def whole(self) -> int:
        value = self._conditional()
        if self._sign():
            raise ValueError(f"{self._text!r} goes on with {self._sign()!r}")
        return value

    def _conditional(self) -> int:
        condition = self._level(0)
        if self._sign() != "?":
            return condition
        self._at += 1
        first = self._conditional()
        self._expect(":")
        second = self._conditional()
        return first if condition else second

    def _level(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._operand()
        value = self._level(level + 1)
        while (operation := _LEVELS[level].get(self._sign())) is not None:
            self._at += 1
            value = operation(value, self._level(level + 1))
        return value

    def _operand(self) -> int:
        if self._at == len(self._tokens):
            raise ValueError(f"{self._text!r} ends where a number should be")
        token = self._tokens[self._at]
        self._at += 1
        if token["number"]:
            return int(token["number"])
        if token["name"]:
            name = token["name"].strip("${}")
            if name not in self._variables:
                raise ValueError(f"{token['name']} is not known")
            return self._variables[name]
        if token["sign"] == "(":
            value = self._conditional()
            self._expect(")")
            return value
        if token["sign"] == "-":
            return -self._operand()
        raise ValueError(f"{token['sign']!r} stands where a number should be")

    def _sign(self) -> str:
        """The next token's text; "" at the end."""
        return self._tokens[self._at][0].strip() if self._at < len(self._tokens) else ""

    def _expect(self, sign: str) -> None:
        if self._sign() != sign:
            raise ValueError(f"{self._text!r} lacks a {sign!r}")
        self._at += 1
