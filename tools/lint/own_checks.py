"""Checks of this project that no other linter has: functions from texts of files to faults."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_HELPER = Path("tools/python/child.py")
# An interpreter started without -I. With -I, a program declares that it needs only the standard library.
_BARE_CHILD = re.compile(r'sys\.executable(?!,\s*"-I"|} -I )')
_PROGRAM = re.compile(r"^( *)py_(binary|test)\(\n.*?^\1\)", re.MULTILINE | re.DOTALL)
_CREATE_INIT = re.compile(r"legacy_create_init = [01],")
_FLAG = re.compile(r"(?<![\w-])--[a-z_]+")
_CORE = (
    "databuild/error_codes.py",
    "databuild/errors.py",
    "databuild/event_log/",
    "databuild/executors/",
    "databuild/graph/",
    "databuild/model/",
    "databuild/orchestration/",
    "databuild/remedies.py",
)
_LIMIT = re.compile(r"\b_?(?:MOST|LEAST|LONGEST|SHORTEST|LARGEST|SMALLEST)_[A-Z]\w*")
_DOCSTRING = re.compile(r'""".*?"""', re.DOTALL)


def bare_children(sources: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Yields starts of a Python interpreter that would have no import path under Bazel."""
    for path, text in sources:
        for match in _BARE_CHILD.finditer(text) if path != _HELPER else ():
            line = text.count("\n", 0, match.start()) + 1
            yield f'{path}:{line}: start it with tools.python.child.command, or with "-I" if it needs no import path'


def odd_limits(sources: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Yields limits whose names do not begin with MAX_ or MIN_."""
    for path, text in sources:
        for match in _LIMIT.finditer(text) if path.parts[:2] != ("tools", "lint") else ():
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match[0]} is a limit; begin its name with MAX_ or MIN_, and end it with the unit"


def implicit_init_files(sources: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Yields programs without `legacy_create_init`. The default creates `__init__.py` files, which is deprecated."""
    for path, text in sources:
        for match in _PROGRAM.finditer(_DOCSTRING.sub("", text)):
            if _CREATE_INIT.search(match[0]) is None:
                yield f"{path}: {match[0].splitlines()[1].strip()} lacks `legacy_create_init = 0`"


def flags_in_core(sources: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Yields flags of the command line in string literals of the core, except in docstrings."""
    for path, text in sources:
        if path.as_posix().startswith(_CORE):
            tree = ast.parse(text)
            prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                    for flag in _FLAG.findall(node.value):
                        yield f"{path}:{node.lineno}: {flag} is a flag; raise the error with a Remedy instead"
