"""Starts another Python that imports what this one does, in tests, linters and benchmarks.

`sys.executable` alone does not: this process's import path comes from whatever started it, a launcher or pytest, and
is not handed on. So the path is an argument here. It is no variable of the environment, because grandchildren inherit
those.

A child that needs nothing but the standard library is started with `sys.executable, "-I"`.
"""

import sys


def command(*arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
    """Returns the command that does what `python ARGUMENTS` does, with the import path that this process has now.

    Args:
        arguments: `-c CODE`, `-m MODULE` or a file, and what follows it.
        flags: More flags of the interpreter.
    """
    return [sys.executable, "-P", *flags, __file__, ":".join(path for path in sys.path if path), *arguments]


def _run(path: str, arguments: list[str]) -> None:
    sys.path[:] = path.split(":")
    if arguments[0] == "-m":
        import runpy  # -c and a file need nothing that Python has not loaded itself

        sys.argv[:] = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return

    module = type(sys)("__main__")
    if arguments[0] == "-c":
        code, file = arguments[1], "<string>"
        sys.argv[:] = ["-c", *arguments[2:]]
    else:
        file = module.__file__ = arguments[0]
        with open(file, encoding="utf-8") as source:
            code = source.read()
        sys.argv[:] = arguments
    sys.modules["__main__"] = module
    exec(compile(code, file, "exec"), module.__dict__)


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2:])
