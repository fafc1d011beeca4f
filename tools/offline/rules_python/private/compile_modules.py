"""Compiles modules: compile_modules.py FILE, with lines in turn a source and where its bytecode goes.

The bytecode holds neither a time nor a path, so that it is the same wherever it is made, and Python takes it unchecked.
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
            # Some packages carry files that are no Python. With empty bytecode, Python turns to the source.
            with open(bytecode, "wb"):
                pass
