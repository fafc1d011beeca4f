"""Checks the wording of docstrings, comments and pages.

Modules, .bzl and BUILD files parse as Python. Of shell scripts, protos and SQL, comments on lines of their own are
checked.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_OPENINGS = frozenset({"How", "Takes", "That", "What", "Where", "Whether", "Who", "Whose"})
_CLAUSE = re.compile(r"(?:^|[.:;!?]\s+)(What|Whatever|Whether|Who|Whoever|Whose)\b[^.?!]*(\?)?")
_COMMENTS = {
    ".md": re.compile(r"(?:[-*] |> )?([^\s|#`].*)"),
    ".proto": re.compile(r"\s*//\s?(.*)"),
    ".sh": re.compile(r"\s*#(?!!)\s?(.*)"),
    ".sql": re.compile(r"\s*--\s?(.*)"),
}
_WORDS = re.compile(
    r"\b(?:anew|hereby|hereof|hitherto|thence|thereof|therein|whence|whoever|whosoever)\b", re.IGNORECASE
)


class _Prose(NamedTuple):
    """A docstring, a paragraph of a page, or consecutive lines of comments.

    Attributes:
        line: Number of its first line, from 1.
        text: Text with single spaces.
        is_docstring: False for comments and pages.
    """

    line: int
    text: str
    is_docstring: bool


def odd_wording(sources: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Yields docstrings that open with a noun clause, other sentences that do, and archaic words.

    "Where" and "How" may begin a sentence, but not a docstring.

    Args:
        sources: Paths and texts of files. Those of tools/lint, which name the words, are skipped.
    """
    for path, text in sources:
        if path.parts[:2] == ("tools", "lint"):
            continue
        for prose in _all_prose(text, path.suffix):
            opening = re.match(r"\w*", prose.text)
            if prose.is_docstring and opening and opening[0] in _OPENINGS:
                yield f"{path}:{prose.line}: the docstring opens with {opening[0]!r}; name its subject or its effect"
            else:
                for clause, question in _CLAUSE.findall(prose.text):
                    if not question:
                        yield f"{path}:{prose.line}: a sentence begins with {clause!r}; name its subject"
            for word in sorted({match[0] for match in _WORDS.finditer(prose.text)}):
                yield f"{path}:{prose.line}: {word!r} is archaic; use a plain word"


def _all_prose(text: str, suffix: str) -> Iterator[_Prose]:
    if suffix in _COMMENTS:
        yield from _blocks(text, _COMMENTS[suffix])
    else:
        yield from _python_prose(text)


def _blocks(text: str, comment: re.Pattern[str]) -> Iterator[_Prose]:
    """Yields runs of consecutive lines that match; the group is the text of a line."""
    words: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        match = comment.match(line)
        if match and match[1]:
            words += match[1].split()
        elif words:
            yield _Prose(number - 1, " ".join(words), is_docstring=False)
            words = []


def _python_prose(text: str) -> Iterator[_Prose]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield _Prose(node.lineno, " ".join(node.value.value.split()), is_docstring=True)
    block: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if block and (block[-1].start[0] + 1, block[-1].start[1]) != token.start:
                yield _comment(block)
                block = []
            block.append(token)
    if block:
        yield _comment(block)


def _comment(block: list[tokenize.TokenInfo]) -> _Prose:
    words = [word for token in block for word in token.string.lstrip("#!: ").split()]
    return _Prose(block[0].start[0], " ".join(words), is_docstring=False)
