"""Compiles modules: compile_modules.py FILE. Lines of FILE alternate between a source and its bytecode.

The bytecode contains no time and no path, so it is reproducible. Python does not check it against the source.
"""

import py_compile
import sys

if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = file.read().splitlines()
    for source, bytecode in zip(lines[::2], lines[1::2], strict=True):
        try:
            py_compile.compile(
                source,
                bytecode,
                dfile=source.rpartition("/")[2],
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            # Some packages have files that are not valid Python. Python ignores empty bytecode and reads the source.
            with open(bytecode, "wb"):
                pass
