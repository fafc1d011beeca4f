"""Templates: texts with expressions in braces, as in `daily_delays/date={month.dates}`.

template = { text | "{{" | "}}" | expression }
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from databuild.errors import InvalidPatternError
from databuild.graph.declared.expressions import MAX_VALUES, Expression, parse_expression
from databuild.tuples import NamedTuple

_BRACES: Final = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


class Template(NamedTuple):
    """A text with expressions.

    Attributes:
        text: The template as it was written.
        parts: Its literal texts and expressions, in order.
        groups: The parts, divided before and after each expression that yields a list.
    """

    text: str
    parts: tuple[str | Expression, ...]
    groups: tuple[Expression | tuple[str | Expression, ...], ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def combines(self) -> bool:
        """True if it has several expressions that yield lists, so that it may yield a text twice."""
        return sum(expression.is_list for expression in self.expressions) > 1

    def value(self, fields: Mapping[str, str]) -> str:
        """Returns the text of a template that yields one value, as `lists=False` demands of `parse_template`.

        Raises:
            InvalidPatternError: A value leaves the years 1 to 9999.
        """
        return self.values(fields)[0]

    def values(self, fields: Mapping[str, str]) -> list[str]:
        """Returns the texts for the values of the fields; see `values_of`."""
        return list(self.values_of({name: (text,) for name, text in fields.items()}, 1)[0])

    def value_of(self, columns: Mapping[str, Sequence[str]], count: int) -> Iterable[str]:
        """Returns the only text for each of several refs; see `value` and `values_of`."""
        if isinstance(self.parts[0], str) and len(self.parts) == 1:
            return itertools.repeat(self.parts[0], count)
        return [text for (text,) in self.values_of(columns, count)]

    def values_of(self, columns: Mapping[str, Sequence[str]], count: int) -> list[tuple[str, ...]]:
        """Returns the texts for each of several refs: all combinations, those of the last expression varying first.

        Args:
            columns: The texts of each field, one for each ref.
            count: The number of refs.

        Raises:
            InvalidPatternError: Values leave the years 1 to 9999, or are more than MAX_VALUES.
        """
        # Columns take far fewer calls of Python functions than refs, one by one, would.
        texts: list[tuple[str, ...]] = []
        is_one = True
        for group in self.groups:
            if isinstance(group, tuple):
                single = map("".join, zip(*[_column(part, columns, count) for part in group], strict=True))
                if texts:
                    texts = [tuple([text + end for text in row]) for row, end in zip(texts, single, strict=True)]
                else:
                    texts = list(zip(single))
                continue
            values = group.values_of(columns[group.field])
            if is_one:  # each text so far is the only one, so there are not too many combinations
                before = texts or [("",)] * count
                texts = [tuple([text + end for end in ends]) for (text,), ends in zip(before, values, strict=True)]
                is_one = False
            else:
                texts = self._combined(texts, values)
        return texts

    def _combined(self, texts: Iterable[Sequence[str]], values: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
        combined: list[tuple[str, ...]] = []
        for row, ends in zip(texts, values, strict=True):
            if (count := len(row) * len(ends)) > MAX_VALUES:
                fault = f"it yields at least {count:,} combinations of values; at most {MAX_VALUES:,} are allowed"
                raise InvalidPatternError(self.text, fault)
            combined.append(tuple([text + end for text in row for end in ends]))
        return combined


def _groups(parts: Iterable[str | Expression]) -> Iterator[Expression | tuple[str | Expression, ...]]:
    single: list[str | Expression] = []
    for part in parts:
        if isinstance(part, Expression) and part.is_list:
            if single:
                yield tuple(single)
            yield part
            single = []
        else:
            single.append(part)
    if single:
        yield tuple(single)


def _column(part: str | Expression, columns: Mapping[str, Sequence[str]], count: int) -> Iterable[str]:
    return itertools.repeat(part, count) if isinstance(part, str) else part.value_of(columns[part.field])


def parse_template(text: str, fields: Mapping[str, str], *, lists: bool = True, formats: bool = False) -> Template:
    """Reads a template.

    Args:
        text: The template.
        fields: The type of each field that its expressions may use, as in `PartitionPattern.fields`.
        lists: True if expressions may yield other than one value.
        formats: True if expressions may have formats.

    Raises:
        InvalidPatternError: An expression cannot be read, or is not allowed for the type of its field.
    """
    parts: list[str | Expression] = []
    literal = ""
    position = 0
    for match in _BRACES.finditer(text):
        literal += text[position : match.start()]
        position = match.end()
        found = match[0]
        if found in {"{{", "}}"}:
            literal += found[0]
            continue
        if len(found) == 1:
            fault = f"the brace {found!r} at character {match.start() + 1} has no partner; two braces stand for one"
            raise InvalidPatternError(text, fault)
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(parse_expression(found, fields, lists=lists, formats=formats))
    literal += text[position:]
    if literal or not parts:
        parts.append(literal)
    return Template(text, tuple(parts), tuple(_groups(parts)))
