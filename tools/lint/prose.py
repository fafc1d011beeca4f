"""Checks the wording of docstrings and comments, in files that parse as Python: modules, .bzl and BUILD files."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_OPENINGS = frozenset({"How", "Takes", "That", "What", "Where", "Whether", "Who", "Whose"})
_WHO = re.compile(r"(?:^|[.:;!?]\s+)Who\b")
_WORDS = re.compile(
    r"\b(?:anew|hereby|hereof|hitherto|thence|thereof|therein|whence|whoever|whosoever)\b", re.IGNORECASE
)


class _Prose(NamedTuple):
    """A docstring, or consecutive lines of comments.

    Attributes:
        line: Number of its first line, from 1.
        text: Text with single spaces.
        is_docstring: False for comments.
    """

    line: int
    text: str
    is_docstring: bool


def odd_wording(sources: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Yields docstrings that open with a noun clause, sentences that begin with "Who", and archaic words.

    Args:
        sources: Paths and texts of files. Those of tools/lint, which name the words, are skipped.
    """
    for path, text in sources:
        if path.parts[:2] == ("tools", "lint"):
            continue
        for prose in _all_prose(text):
            opening = re.match(r"\w*", prose.text)
            if prose.is_docstring and opening and opening[0] in _OPENINGS:
                yield f"{path}:{prose.line}: the docstring opens with {opening[0]!r}; name its subject or its effect"
            elif _WHO.search(prose.text):
                yield f"{path}:{prose.line}: a sentence begins with 'Who'; name its subject"
            for word in sorted({match[0] for match in _WORDS.finditer(prose.text)}):
                yield f"{path}:{prose.line}: {word!r} is archaic; use a plain word"


def _all_prose(text: str) -> Iterator[_Prose]:
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
