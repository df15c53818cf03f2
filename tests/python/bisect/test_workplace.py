# SPDX-License-Identifier: GPL-2.0-only
"""The messages about a revision that does not build."""

from __future__ import annotations

from kvm.bisect.workplace import last_words


def test_the_compilers_error_is_told_and_not_its_command_line() -> None:
    output = """
    [3/64] c++ -Wall -Werror -c ../../rtc.cpp
    ../../rtc.cpp:3:10: fatal error: devices/rtc_alarm.hpp: No such file or directory
    compilation terminated.
    error: the VMM does not compile
    """
    assert last_words(output) == (
        "../../rtc.cpp:3:10: fatal error: devices/rtc_alarm.hpp: No such file or directory / "
        "error: the VMM does not compile"
    )


def test_a_build_that_names_no_error_is_told_by_its_beginning() -> None:
    assert last_words("patching\n\nkilled\n") == "patching / killed"
    assert last_words("") == "no output"
