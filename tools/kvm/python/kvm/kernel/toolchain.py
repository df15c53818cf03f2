# SPDX-License-Identifier: GPL-2.0-only
"""The make variables that a kernel developer can set, and the compiler they select."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.freshness import HERMETIC, ccache

# The environment variables that kbuild reads and that change the build.
_PASSED_ON = (
    *("ARCH", "LLVM", "LLVM_IAS", "CROSS_COMPILE", "LOCALVERSION"),
    *("KCFLAGS", "KAFLAGS", "KCPPFLAGS", "HOSTCFLAGS", "HOSTLDFLAGS"),
)

# A fixed stamp: equal sources make equal images, and no new date causes relinking.
_REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "Sat Jan  1 00:00:00 UTC 2000",
    "KBUILD_BUILD_USER": "tools-kvm",
    "KBUILD_BUILD_HOST": "tools-kvm",
    "KBUILD_BUILD_VERSION": "1",
}

# The variables that make itself takes from the environment.
_NO_WORDS_FOR_MAKE = dict.fromkeys(("MAKEFLAGS", "GNUMAKEFLAGS", "MAKEFILES"), "")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """How to call make: ``CC`` (with ccache if installed) and the variables passed on."""

    compiler: str
    ccache: str
    variables: tuple[tuple[str, str], ...]
    verbose: str = ""

    @classmethod
    def from_environment(cls) -> Toolchain:
        variables = tuple((n, os.environ[n]) for n in _PASSED_ON if os.environ.get(n))
        llvm = os.environ.get("LLVM", "")
        suffix = llvm if llvm.startswith("-") else ""
        default = f"clang{suffix}" if llvm else os.environ.get("CROSS_COMPILE", "") + "gcc"
        compiler = os.environ.get("CC") or default
        ccache = "" if compiler.startswith("ccache") else shutil.which("ccache") or ""
        return cls(compiler, ccache, variables, os.environ.get("V", ""))

    @property
    def arch(self) -> str:
        return dict(self.variables).get("ARCH", "x86")

    def arguments(self) -> tuple[str, ...]:
        """``NAME=VALUE`` arguments for every make call on the kernel."""
        cc = f"{self.ccache} {self.compiler}" if self.ccache else self.compiler
        given = dict(self.variables)
        given.setdefault("LOCALVERSION", "")
        named = tuple(f"{name}={value}" for name, value in given.items())
        return (f"CC={cc}", *named, *((f"V={self.verbose}",) if self.verbose else ()))

    def sealed(self) -> dict[str, str | None]:
        """An environment for make on the kernel without anything that the ids do not cover."""
        own = {"KCONFIG_CONFIG": ".config", "CONFIG_": None}
        return {**_REPRODUCIBLE, **HERMETIC, **_NO_WORDS_FOR_MAKE, **own}

    def environment(self, ccache_dir: Path, checkout: Path) -> dict[str, str | None]:
        """The environment for compiling: with a ccache that reads no file twice.

        Paths below ``checkout`` are hashed relative to it, so that another checkout hits too.
        """
        return {
            **self.sealed(),
            **ccache(checkout),
            "CCACHE_DIR": os.environ.get("CCACHE_DIR", str(ccache_dir)),
            "CCACHE_DEPEND": "1",
            "CCACHE_MAXSIZE": os.environ.get("CCACHE_MAXSIZE", "5G"),
        }

    def identity(self) -> str:
        """Text that differs whenever the compiler or a passed-on variable does."""
        given = dict(self.variables)
        # In "ccache gcc -pipe", this is gcc.
        words = (word for word in shlex.split(self.compiler) if Path(word).name != "ccache")
        linker = "ld.lld" if "LLVM" in given else given.get("CROSS_COMPILE", "") + "ld"
        versions = (_version(next(words)), _version(linker))
        return f"{versions} {self.compiler} {sorted(self.variables)}"


def _version(program: str) -> str:
    return process.capture((program, "--version")).decode(errors="replace").splitlines()[0]
