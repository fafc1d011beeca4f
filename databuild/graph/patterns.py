"""Partition patterns: refs with named, typed fields, such as `daily_flights/date={date:date}`.

A field is `{name}` (a string without a slash), `{name:type}` with a type of `date` (2013-01-31), `month` (2013-01),
`hour` (2013-01-31T05), `int` or `str`, or `{name:/regex/}`.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from databuild.errors import InvalidPatternError, InvalidRequestError

if TYPE_CHECKING:
    from databuild.graph.regular import Automaton

_REGEX_OF_TYPE: Final = {
    "date": r"\d{4}-\d{2}-\d{2}",
    "month": r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])",
    "hour": r"\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3])",
    "int": r"-?(?:0|[1-9]\d*)",
    "str": r"[^/\s\x00-\x1f]+",
}
_RANGE_END_OF_TYPE: Final = {
    "date": r"\d{4}-\d{2}-\d{2}",
    "month": r"\d{4}-\d{2}",
    "hour": r"\d{4}-\d{2}-\d{2}T\d{2}",
    "int": r"-?\d+",
}
_OF_THE_CALENDAR: Final = frozenset({"date", "hour"})
"""Types of which the regular expression matches more than there is: what it matches is looked up in the calendar."""

_EXAMPLE_OF_TYPE: Final = {
    "date": "2013-01-31",
    "month": "2013-01",
    "hour": "2013-01-31T05",
    "int": "7",
    "str": "x",
}
_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?::(/(?:[^/\\]|\\.)*/|\w+))?\}")
_RANGE: Final = ".."
MAX_REF_BYTES: Final = 1024
"""How long a ref may be, in bytes of UTF-8."""


class PartitionPattern:
    """One partition pattern."""

    def __init__(self, text: str) -> None:
        """Reads a pattern.

        Raises:
            InvalidPatternError: It cannot be read.
        """
        self.text = text
        self.fields: dict[str, str] = {}
        self._parts: list[tuple[str, str]] = []
        position = 0
        regex: list[str] = []
        for found in _FIELD.finditer(text):
            self._literal(text[position : found.start()], regex)
            name, kind = found.group(1), found.group(2) or "str"
            if name in self.fields:
                raise InvalidPatternError(text, f"the field {name!r} is there twice")
            self.fields[name] = kind
            self._parts.append((name, kind))
            regex.append(f"(?P<{name}>{self._field_regex(kind)})")
            position = found.end()
        self._literal(text[position:], regex)
        if not text:
            raise InvalidPatternError(text, "a pattern cannot be empty")
        try:
            self._regex = re.compile("".join(regex), re.ASCII)
        except re.error as error:
            raise InvalidPatternError(text, f"its regular expression cannot be read: {error}") from error
        self.prefix = self._parts[0][0] if self._parts and not self._parts[0][1] else ""

    def _literal(self, literal: str, regex: list[str]) -> None:
        if "{" in literal or "}" in literal:
            fault = f"{literal!r} is no field; fields are written {{name}}, {{name:date}} or {{name:/regex/}}"
            raise InvalidPatternError(self.text, fault)
        if literal:
            self._parts.append((literal, ""))
            regex.append(re.escape(literal))

    def _field_regex(self, kind: str) -> str:
        if kind.startswith("/"):
            self._check_expression(kind[1:-1])
            return f"(?:{kind[1:-1]})"
        if kind not in _REGEX_OF_TYPE:
            raise InvalidPatternError(
                self.text, f"{kind!r} is no type; types are {', '.join(_REGEX_OF_TYPE)} or /regex/"
            )
        return _REGEX_OF_TYPE[kind]

    def _check_expression(self, expression: str) -> None:
        from databuild.graph.regular import NotRegularError, check_regular

        try:
            check_regular(expression)
        except re.error as error:
            raise InvalidPatternError(
                self.text, f"the regular expression {expression!r} cannot be read: {error}"
            ) from error
        except NotRegularError as error:
            raise InvalidPatternError(
                self.text, f"the regular expression {expression!r} cannot be used: {error}"
            ) from error

    @functools.cached_property
    def automaton(self) -> Automaton:
        """The automaton that matches the same refs."""
        from databuild.graph.regular import EXPRESSION_OF_TYPE, automaton

        return automaton(
            "".join(
                EXPRESSION_OF_TYPE.get(kind) or self._field_regex(kind) if kind else re.escape(text)
                for text, kind in self._parts
            )
        )

    def match(self, ref: str) -> dict[str, str] | None:
        """Returns the text of each field, or None where the ref is not of this pattern."""
        found = self._regex.fullmatch(ref)
        if found is None:
            return None
        fields = found.groupdict()
        for name, kind in self.fields.items():
            if kind in _OF_THE_CALENDAR and _VALUES[kind].parse(fields[name]) is None:
                return None
        return fields

    def example(self) -> str:
        """Returns a ref that looks like those of this pattern."""
        return "".join(_EXAMPLE_OF_TYPE.get(kind, "x") if kind else text for text, kind in self._parts)

    def expand(self, text: str) -> list[str] | None:
        """Returns the refs of a range such as `date=2013-01-01..2013-01-31`; None where it is none of this pattern.

        Raises:
            InvalidRequestError: The range ends before it begins.
        """
        regex = "".join(re.escape(part) if not kind else self._range_regex(part, kind) for part, kind in self._parts)
        found = re.fullmatch(regex, text, re.ASCII)
        if found is None or _RANGE not in text:
            return None
        refs = [""]
        for part, kind in self._parts:
            if not kind:
                refs = [ref + part for ref in refs]
                continue
            values = [found.group(part)] if found.group(part) else self._values(text, kind, found, part)
            refs = [ref + value for ref in refs for value in values]
        return refs if all(self.match(ref) is not None for ref in (refs[0], refs[-1])) else None

    def _range_regex(self, name: str, kind: str) -> str:
        single = self._field_regex(kind)
        if kind not in _VALUES:
            return f"(?P<{name}>{single})"
        end = _RANGE_END_OF_TYPE[kind]
        return f"(?:(?P<{name}_first>{end}){re.escape(_RANGE)}(?P<{name}_last>{end})|(?P<{name}>{single}))"

    @staticmethod
    def _values(text: str, kind: str, found: re.Match[str], name: str) -> list[str]:
        steps = _VALUES[kind]
        first, last = steps.parse(found.group(f"{name}_first")), steps.parse(found.group(f"{name}_last"))
        if first is None or last is None:
            message = f"{text!r} has a {kind} that does not exist"
            raise InvalidRequestError(message)
        if first > last:
            message = f"the range {text!r} ends before it begins"
            raise InvalidRequestError(message)
        return [steps.format(number) for number in range(first, last + 1)]


class _Steps:
    """A type whose values can be counted."""

    def __init__(self, parse: Callable[[str], int], form: Callable[[int], str]) -> None:
        self._parse = parse
        self.format = form

    def parse(self, text: str) -> int | None:
        try:
            return self._parse(text)
        except ValueError:
            return None


_EPOCH = dt.datetime(1, 1, 1)  # noqa: DTZ001 - hours are counted, not placed in a zone
_VALUES: Final = {
    "date": _Steps(
        lambda text: dt.date.fromisoformat(text).toordinal(),
        lambda number: dt.date.fromordinal(number).isoformat(),
    ),
    "month": _Steps(
        lambda text: int(text[:4]) * 12 + int(text[5:]) - 1,
        lambda number: f"{number // 12:04}-{number % 12 + 1:02}",
    ),
    "hour": _Steps(
        lambda text: int((dt.datetime.fromisoformat(text) - _EPOCH).total_seconds()) // 3600,
        lambda number: (_EPOCH + dt.timedelta(hours=number)).isoformat(timespec="hours"),
    ),
    "int": _Steps(int, str),
}


def check_ref(ref: str) -> None:
    """Checks that a text can be a ref at all.

    Raises:
        InvalidRequestError: It cannot; the message says why.
    """
    fault = ""
    if not ref:
        fault = "it is empty"
    elif not ref.isprintable() or " " in ref:  # no other white space is printable, nor what is not UTF-8
        fault = "it has a space or a character that cannot be printed"
    elif len(ref) * 4 > MAX_REF_BYTES and len(ref.encode()) > MAX_REF_BYTES:
        fault = f"it is longer than {MAX_REF_BYTES} bytes"
    elif ref[0] == "-":
        fault = "it begins with a dash"
    if fault:
        message = f"{ref[:80]!r} is no partition ref: {fault}"
        raise InvalidRequestError(message)


def overlap(first: PartitionPattern, second: PartitionPattern) -> str | None:
    """Returns a ref that both patterns match, and None where there is none: decided exactly, not tried."""
    if not (first.prefix.startswith(second.prefix) or second.prefix.startswith(first.prefix)):
        return None
    from databuild.graph.regular import common_text

    return common_text(first.automaton, second.automaton)
