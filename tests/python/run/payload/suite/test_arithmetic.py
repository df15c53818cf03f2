# SPDX-License-Identifier: GPL-2.0-only
"""The part of the shell's arithmetic that a ``unittests.cfg`` uses."""

from __future__ import annotations

import pytest

from kvm.run.payload.suite.arithmetic import value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("$MAX_SMP", 6),
        ("${MAX_SMP}", 6),
        ("$(($MAX_SMP))", 6),
        ("$((MAX_SMP - 1))", 5),
        ("$(( 2 + 3 * $MAX_SMP ))", 20),
        ("$(((2 + 3) * 2))", 10),
        ("$(($MAX_SMP < 8 ? $MAX_SMP : 8))", 6),
        ("$((($MAX_SMP < 4)?$MAX_SMP:4))", 4),
        ("$((MAX_SMP >= 6 == 1 ? 7 % 4 : 0))", 3),
        ("$((-7 / 2))", -3),
    ],
)
def test_a_number(text: str, value: int) -> None:
    assert value_of(text, {"MAX_SMP": 6}) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "ends where a number should be"),
        ("two", "two is not known"),
        ("$((1 / 0))", "division by 0"),
        ("$((1 ? 2))", "lacks a ':'"),
        ("$((1 +))", "ends where"),
        ("2,sockets=1", "goes on with ','"),
        ("$((* 2))", "'*' stands where"),
    ],
)
def test_what_is_no_number_says_why(text: str, says: str) -> None:
    with pytest.raises(ValueError) as refused:
        value_of(text, {"MAX_SMP": 6})
    assert says in str(refused.value)
