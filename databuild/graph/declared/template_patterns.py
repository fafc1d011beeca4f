"""Templates as patterns, and the patterns of a graph that may match what a template yields."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Final

from databuild.graph.declared.expressions import Expression
from databuild.graph.declared.templates import Template
from databuild.graph.patterns import PartitionPattern
from databuild.graph.refs import nfc
from databuild.tuples import NamedTuple

_BRACES: Final = re.compile(r"([{}])")


class TemplatePattern(NamedTuple):
    """A template as a pattern, whose fields are the expressions.

    Attributes:
        pattern: The pattern.
        names: The name of the field of each expression, in the order of the template.
    """

    pattern: PartitionPattern
    names: tuple[str, ...]


def template_pattern(template: Template, *, any_value: bool = False) -> TemplatePattern:
    """Returns a pattern of everything that a template might yield if its expressions were independent fields.

    Args:
        template: The template.
        any_value: True if its refs have one more segment, or the rest of one, after the template.
    """
    texts: list[str] = []
    names: list[str] = []
    for part in template.parts:
        if isinstance(part, Expression):
            names.append(f"expression_{len(names)}")
            texts.append(f"{{{names[-1]}:{part.kind}}}")
        else:
            # A pattern has no literal braces, but a regular expression can have them.
            pieces = _BRACES.split(part)
            braces = [f"{{brace_{len(texts)}_{number}:/\\{brace}/}}" for number, brace in enumerate(pieces[1::2])]
            texts += [text for pair in itertools.zip_longest(pieces[::2], braces, fillvalue="") for text in pair]
    if any_value:
        texts.append("{rest}")
    return TemplatePattern(PartitionPattern(nfc("".join(texts))), tuple(names))


class PatternsByPrefix:
    """Patterns with their jobs, found by prefix, so that most of them need not be compared."""

    def __init__(self, patterns: Iterable[tuple[PartitionPattern, str]]) -> None:
        """Stores patterns, each with the label of its job."""
        self._by_prefix: dict[str, list[tuple[PartitionPattern, str]]] = {}
        for pattern, label in patterns:
            self._by_prefix.setdefault(pattern.prefix, []).append((pattern, label))
        self._prefixes = sorted(self._by_prefix)

    def candidates(self, prefix: str) -> Iterator[tuple[PartitionPattern, str]]:
        """Yields the patterns whose prefix begins with another one, or is the beginning of it."""
        after = bisect.bisect_right(self._prefixes, prefix)
        longer = itertools.takewhile(lambda other: other.startswith(prefix), self._prefixes[after:])
        for other in (*(prefix[:length] for length in range(len(prefix) + 1)), *longer):
            yield from self._by_prefix.get(other, ())
