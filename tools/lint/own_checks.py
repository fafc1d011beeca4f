"""Checks of this project that no other linter has: functions from texts of files to faults."""

import ast
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

_HELPER = Path("tools/python/child.py")
# An interpreter started without -I. With -I, a program declares that it needs only the standard library.
_BARE_CHILD = re.compile(r'sys\.executable(?!,\s*"-I"|}"? -I\b)')
_PROGRAM = re.compile(r"^( *)py_(binary|test)\(\n.*?^\1\)", re.MULTILINE | re.DOTALL)
_CREATE_INIT = re.compile(r"legacy_create_init = [01],")
_FLAG = re.compile(r"(?<![\w-])--[a-z_]+")
_WITHOUT_FLAGS = (
    "databuild/client/",
    "databuild/error_codes.py",
    "databuild/errors.py",
    "databuild/event_log/",
    "databuild/executors/",
    "databuild/graph/",
    "databuild/model/",
    "databuild/orchestration/",
    "databuild/remedies.py",
    "databuild/service/",
)
_LIMIT = re.compile(r"\b_?(?:MOST|LEAST|LONGEST|SHORTEST|LARGEST|SMALLEST)_[A-Z]\w*")
_DOCSTRING = re.compile(r'""".*?"""', re.DOTALL)
_FENCE = re.compile(r"^ *```")
_CODE_SPAN = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*?) *$")
_EXTERNAL = re.compile(r"[a-z]+:")
_GENERATED = "<!-- Generated from "
_MAX_COLUMNS = 120


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
    """Yields flags of the command line in string literals of packages that know none, except in docstrings."""
    for path, text in sources:
        if path.as_posix().startswith(_WITHOUT_FLAGS):
            tree = ast.parse(text)
            prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                    for flag in _FLAG.findall(node.value):
                        yield f"{path}:{node.lineno}: {flag} is a flag; raise the error with a Remedy instead"


def broken_links(pages: Mapping[Path, str], files: Set[Path]) -> Iterator[str]:
    """Yields links of Markdown pages to files and headings that do not exist.

    Args:
        pages: The text of each page, by its path in the checkout.
        files: The path of every file in the checkout.
    """
    anchors = {path: _anchors(text) for path, text in pages.items()}
    folders = {folder for file in files for folder in file.parents}
    for path, text in pages.items():
        for number, line in _prose_lines(text):
            for link in _LINK.findall(_CODE_SPAN.sub("", line)):
                if _EXTERNAL.match(link):
                    continue
                name, _, anchor = link.partition("#")
                target = Path(os.path.normpath(path.parent / name)) if name else path
                if target not in files and target not in folders:
                    yield f"{path}:{number}: {link} leads to {target}, which does not exist"
                elif anchor and anchor not in anchors.get(target, ()):
                    yield f"{path}:{number}: {link} names no heading of {target}"


def long_lines(pages: Mapping[Path, str]) -> Iterator[str]:
    """Yields lines of more than 120 characters in Markdown pages; tables, code and generated pages may have them."""
    for path, text in pages.items():
        for number, line in _prose_lines(text) if _GENERATED not in text else ():
            if len(line) > _MAX_COLUMNS and not line.startswith("|"):
                yield f"{path}:{number}: the line has {len(line)} characters; wrap it at {_MAX_COLUMNS}"


def _prose_lines(page: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a page outside code blocks, with their numbers from 1."""
    fenced = False
    for number, line in enumerate(page.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def _anchors(page: str) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page."""
    anchors: set[str] = set()
    counts: dict[str, int] = {}
    for _, line in _prose_lines(page):
        if heading := _HEADING.match(line):
            words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            count = counts.get(anchor, 0)
            counts[anchor] = count + 1
            anchors.add(f"{anchor}-{count}" if count else anchor)
    return anchors
