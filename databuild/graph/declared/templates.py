"""Templates: texts with expressions in braces, as in `daily_delays/date={month.dates}`.

template = { text | "{{" | "}}" | expression }
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from databuild.errors import InvalidPatternError
from databuild.graph.declared.expressions import MAX_VALUES, Expression, parse_expression

_BRACES: Final = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


class Template(NamedTuple):
    """A text with expressions.

    Attributes:
        text: The template as it was written.
        parts: Its literal texts and expressions, in order.
    """

    text: str
    parts: tuple[str | Expression, ...]

    def value(self, fields: Mapping[str, str]) -> str:
        """Returns the text of a template that yields one value, as `lists=False` demands of `parse_template`.

        Raises:
            InvalidPatternError: A value leaves the years 1 to 9999.
        """
        return "".join([part if isinstance(part, str) else part.values(fields[part.field])[0] for part in self.parts])

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expression))

    def values(self, fields: Mapping[str, str]) -> list[str]:
        """Returns the texts for the values of the fields: all combinations, those of the last expression varying first.

        Raises:
            InvalidPatternError: Values leave the years 1 to 9999, or are more than MAX_VALUES.
        """
        texts = [""]
        for part in self.parts:
            if isinstance(part, str):
                texts = [text + part for text in texts]
                continue
            values = part.values(fields[part.field])
            if (count := len(texts) * len(values)) > MAX_VALUES:
                fault = f"it yields at least {count:,} combinations of values; at most {MAX_VALUES:,} are allowed"
                raise InvalidPatternError(self.text, fault)
            texts = [text + value for text in texts for value in values]
        return texts


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
    return Template(text, tuple(parts))
