"""Starts a child Python with the import path of this process, for tests, linters and benchmarks.

`sys.executable` alone is not enough: a launcher or pytest sets the import path of this process, and children do not
inherit it. It is passed as an argument and not in the environment, because grandchildren would inherit the environment.

Start a child that needs only the standard library with `sys.executable, "-I"` instead.
"""

import sys


def command(*arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
    """Returns the command for `python ARGUMENTS` with the current import path of this process.

    Args:
        arguments: `-c CODE`, `-m MODULE` or a file, then its own arguments.
        flags: Additional flags of the interpreter.
    """
    return [sys.executable, "-P", *flags, __file__, ":".join(path for path in sys.path if path), *arguments]


def _run(path: str, arguments: list[str]) -> None:
    sys.path[:] = path.split(":")
    if arguments[0] == "-m":
        import runpy  # not at the top: -c and files need no further imports, which benchmarks rely on

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
