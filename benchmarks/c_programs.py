"""Compiles the C programs of benchmarks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_SOURCES = Path(__file__).parent
# A static program starts fastest, but not every machine has the static C library.
_KINDS = (("static C program", ("-static",)), ("C program", ()))
_COMPILERS = ("cc", "gcc", "clang")


def compile_program(source: str, program: Path, *, options: Sequence[str] = (), search_path: str | None = None) -> str:
    """Compiles a program; returns its kind in words, empty if the machine has no C compiler that can do it.

    Args:
        source: The name of its file in this folder.
        program: The path of the executable.
        options: Further options of the compiler.
        search_path: The search path for a compiler; None for PATH.
    """
    candidates = (shutil.which(name, path=search_path) for name in _COMPILERS)
    compiler = next((path for path in candidates if path), None)
    for kind, linking in _KINDS if compiler else ():
        command = (str(compiler), "-O2", *options, *linking, "-o", str(program), str(_SOURCES / source))
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return kind
    return ""
