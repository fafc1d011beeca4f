"""Partition patterns: refs with named, typed fields, such as `daily_flights/date={date:date}`.

A field is `{name}` (a string without a slash), `{name:type}` with a type of `date` (2013-01-31), `month` (2013-01),
`hour` (2013-01-31T05), `int` or `str`, or `{name:/regex/}`.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Sequence
from typing import Final

from databuild.errors import InvalidPatternError, InvalidRequestError, TooManyPartitionsError
from databuild.graph.field_types import FIELD_TYPES, Counting, FieldType
from databuild.graph.refs import nfc, odd_segment

_DIGITS: Final = frozenset(pair for digit in "0123456789" for pair in (f"}}{digit}", f"{digit}}}"))
"""An unknown digit and a known one, in either order."""

_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?::(/(?:[^/\\]|\\.)*/|\w+))?\}", re.ASCII)
_RANGE: Final = ".."
_MARKED_DOT: Final = "\ue000"
_MARKED_SLASH: Final = "\ue001"
_MARKS: Final = {".": f"[.{_MARKED_DOT}]", "/": f"[/{_MARKED_SLASH}]"}
"""Literal characters also match what is marked. The marks are for private use, so that no ref has them."""

MAX_REFS: Final = 1_000_000
"""How many partitions one request may ask for."""


class PartitionPattern:
    """One partition pattern.

    Attributes:
        text: The pattern as it was written.
        fields: The type, or the regular expression between slashes, of each field.
        prefix: The literal that every ref of it begins with; may be empty.
    """

    def __init__(self, text: str) -> None:
        """Reads a pattern.

        Raises:
            InvalidPatternError: It cannot be read.
        """
        if (normal := nfc(text)) != text:
            raise InvalidPatternError(text, f"it is not in Unicode normalization form C; write it as {normal!a}")
        self.text = text
        self.fields: dict[str, str] = {}
        self._parts: list[tuple[str, str]] = []
        self._has_segments = True
        position = 0
        for found in _FIELD.finditer(text):
            self._literal(text[position : found.start()])
            name, kind = found.group(1), found.group(2) or "str"
            if name in self.fields:
                raise InvalidPatternError(text, f"the field {name!r} is there twice")
            self._check_kind(kind)
            self.fields[name] = kind
            self._parts.append((name, kind))
            position = found.end()
        self._literal(text[position:])
        if not text:
            raise InvalidPatternError(text, "a pattern cannot be empty")
        self.prefix = "" if self._parts[0][1] else self._parts[0][0]

    def _literal(self, literal: str) -> None:
        if "{" in literal or "}" in literal:
            fault = f"{literal!r} is no field; fields are written {{name}}, {{name:date}} or {{name:/regex/}}"
            raise InvalidPatternError(self.text, fault)
        if literal:
            self._parts.append((literal, ""))

    def _check_kind(self, kind: str) -> None:
        if kind.startswith("/"):
            from databuild.graph.regular import read_field

            if read_field(self.text, kind[1:-1]).may_have("/"):
                self._has_segments = False
        elif kind not in FIELD_TYPES:
            raise InvalidPatternError(self.text, f"{kind!r} is no type; types are {', '.join(FIELD_TYPES)} or /regex/")

    @functools.cached_property
    def regexes(self) -> tuple[str, ...]:
        """The regular expressions of its parts: one after another they match exactly the refs of this pattern."""
        return tuple(_regex(kind, _exact_regex) if kind else re.escape(part) for part, kind in self._parts)

    def match(self, ref: str) -> dict[str, str] | None:
        """Returns the text of each field, or None where the ref is not of this pattern."""
        found = self._quick.fullmatch(ref)
        if found is None:
            return None
        fields = found.groupdict()
        for name, counting in self._calendar_fields:
            if counting.parse(fields[name]) is None:
                found = self._exact.fullmatch(ref)  # fields without a separator may be told apart in another way
                return found.groupdict() if found is not None else None
        return fields

    @functools.cached_property
    def _calendar_fields(self) -> tuple[tuple[str, Counting], ...]:
        types = ((name, _type_of(kind)) for name, kind in self.fields.items())
        return tuple((name, one.counting) for name, one in types if one.of_calendar and one.counting is not None)

    @functools.cached_property
    def _quick(self) -> re.Pattern[str]:
        return self._compile(_quick_regex)

    @functools.cached_property
    def _exact(self) -> re.Pattern[str]:
        return self._compile(_exact_regex)

    def _compile(self, regex_of: Callable[[FieldType], str]) -> re.Pattern[str]:
        parts = (f"(?P<{part}>{_regex(kind, regex_of)})" if kind else re.escape(part) for part, kind in self._parts)
        return re.compile("".join(parts), re.ASCII)

    def fault_of(self, ref: str) -> str:
        """Returns which date, month, hour or range keeps a ref from being of this pattern, in words; empty for none."""
        found = self._compile(_loose_regex).fullmatch(ref)
        for name, counting in self._calendar_fields:
            if found is not None and counting.parse(found[name]) is None:
                return f"the {self.fields[name]} {found[name]} does not exist"
        if _RANGE in ref and ref.startswith(self.prefix):
            if range_fault := self._open_range(ref):
                return range_fault
            if self._is_range(ref):
                return "ranges are expanded in requests only, so that a config has to name each partition"
        return ""

    def _is_range(self, text: str) -> bool:
        try:
            return self.expand(text) is not None
        except InvalidRequestError:
            return True

    def allows_segments(self, ref: str) -> bool:
        """Returns whether the pattern writes out each segment of a ref that is empty, `.` or `..`.

        They are in its text, and where literal characters of a regular expression match them; not where a wildcard, a
        character class or a typed field does.
        """
        if odd_segment(ref) is None:
            return True
        marked = []
        for number, segment in enumerate(segments := ref.split("/")):
            if number:
                empty = not segment or (number == 1 and not segments[0])
                marked.append(_MARKED_SLASH if empty else "/")
            marked.append(segment.replace(".", _MARKED_DOT) if segment in {".", ".."} else segment)
        return self._writing_out.fullmatch("".join(marked)) is not None

    @functools.cached_property
    def _writing_out(self) -> re.Pattern[str]:
        """Matches refs in which what only literal characters may match is marked."""
        from databuild.graph.regular import literally, read

        parts = []
        for part, kind in self._parts:
            if kind.startswith("/"):
                parts.append(literally(read(kind[1:-1]), _MARKS))
            elif kind:
                parts.append(f"(?:(?![{_MARKED_DOT}{_MARKED_SLASH}]){FIELD_TYPES[kind].regex})")
            else:
                parts.append("".join(_MARKS.get(character, re.escape(character)) for character in part))
        return re.compile("".join(parts), re.ASCII)

    def written_range(self, ref: str) -> tuple[str, str, str] | None:
        """Returns what looks like a range in a ref of this pattern and is none, since its field has no countable type.

        Returns:
            The field, its text, and the type that would make it a range; None where there is nothing of the kind.
        """
        fields = self.match(ref) or {}
        for name, text in fields.items():
            if _RANGE not in text:
                continue
            ends = [end for end in text.split(_RANGE) if end]
            for kind, field_type in FIELD_TYPES.items():
                if ends and all(_counts(field_type, end) for end in ends):
                    return name, text, kind
        return None

    def _open_range(self, ref: str) -> str:
        """Returns that a range in a text has no end, or no beginning, in words; empty where there is no such range."""
        parts = (_open_regex(part, kind) if kind else re.escape(part) for part, kind in self._parts)
        found = re.fullmatch("".join(parts), ref, re.ASCII)
        for name, kind in self.fields.items():
            counting = _counting(kind)
            if found is None or counting is None:
                continue
            first, last = found[f"first_{name}"], found[f"last_{name}"]
            if bool(first) != bool(last):
                lacks = "no end" if first else "no beginning"
                text = f"{first or ''}{_RANGE}{last or ''}"
                return (
                    f"the range {text!r} has {lacks}; write both, such as {_closed_range(kind, counting, first, last)}"
                )
        return ""

    def apart(self, other: PartitionPattern) -> bool:
        """Whether a glance shows that no ref is of both patterns; where it does not, `overlap` decides."""
        if self._has_segments and other._has_segments:
            return len(self._segments) != len(other._segments) or any(map(_are_apart, self._segments, other._segments))
        return _are_apart(_ends(self._shape), _ends(other._shape))

    @functools.cached_property
    def _segments(self) -> tuple[tuple[str, str], ...]:
        return tuple(map(_ends, self._shape.split("/")))

    @functools.cached_property
    def _shape(self) -> str:
        """The pattern with `}` for each unknown digit, and `{` for any other field: no literal has braces."""
        return "".join(_type_of(kind).shape if kind else part for part, kind in self._parts)

    def example(self) -> str:
        """Returns a ref that looks like those of this pattern."""
        return "".join(_type_of(kind).example if kind else text for text, kind in self._parts)

    def expand(self, text: str) -> list[str] | None:
        """Returns the refs of a range such as `date=2013-01-01..2013-01-31`; None where it is none of this pattern.

        Raises:
            InvalidRequestError: The range ends before it begins.
            TooManyPartitionsError: It is too long for one request.
        """
        if _RANGE not in text or not text.startswith(self.prefix):
            return None
        parts = (_range_regex(part, kind) if kind else re.escape(part) for part, kind in self._parts)
        found = re.fullmatch("".join(parts), text, re.ASCII)
        if found is None:
            return None
        refs = [""]
        wanted = 1
        for part, kind in self._parts:
            if not kind:
                refs = [ref + part for ref in refs]
                continue
            single = found.group(f"single_{part}")
            values = [single] if single is not None else self._values(text, kind, found, part)
            wanted *= len(values)
            if wanted > MAX_REFS:
                message = (
                    f"the range {text!r} asks for {wanted:,} partitions or more, and a request may ask for "
                    f"{MAX_REFS:,} at most; split it into shorter ranges, each a request of its own"
                )
                raise TooManyPartitionsError(MAX_REFS, message)
            refs = [ref + value for ref in refs for value in values]
        return refs if all(self.match(ref) is not None for ref in (refs[0], refs[-1])) else None

    @staticmethod
    def _values(text: str, kind: str, found: re.Match[str], name: str) -> Sequence[str]:
        counting = _counting(kind)
        assert counting is not None
        first, last = counting.parse(found[f"first_{name}"]), counting.parse(found[f"last_{name}"])
        if first is None or last is None:
            message = f"{text!r} has a {kind} that does not exist"
            raise InvalidRequestError(message)
        if first > last:
            message = f"the range {text!r} ends before it begins"
            raise InvalidRequestError(message)
        return counting.values(first, last)


def _type_of(kind: str) -> FieldType:
    """Returns the type of a field; a field with a regular expression has the shape and the example of `str`."""
    return FIELD_TYPES.get(kind, FIELD_TYPES["str"])


def _counting(kind: str) -> Counting | None:
    return _type_of(kind).counting


def _counts(field_type: FieldType, value: str) -> bool:
    counting = field_type.counting
    return (
        counting is not None and re.fullmatch(field_type.regex, value) is not None and counting.parse(value) is not None
    )


def _quick_regex(field_type: FieldType) -> str:
    return field_type.regex


def _exact_regex(field_type: FieldType) -> str:
    return field_type.exact_regex


def _loose_regex(field_type: FieldType) -> str:
    """Matches also what looks like a value of the calendar and does not exist."""
    counting = field_type.counting
    return counting.end_regex if counting is not None and field_type.of_calendar else field_type.regex


def _regex(kind: str, regex_of: Callable[[FieldType], str]) -> str:
    return kind[1:-1] if kind.startswith("/") else regex_of(FIELD_TYPES[kind])


def _range_regex(name: str, kind: str) -> str:
    single = f"(?P<single_{name}>{_regex(kind, _quick_regex)})"
    counting = _counting(kind)
    if counting is None:
        return single
    first, last = (f"(?P<{which}_{name}>{counting.end_regex})" for which in ("first", "last"))
    return f"(?:{first}{re.escape(_RANGE)}{last}|{single})"


def _open_regex(name: str, kind: str) -> str:
    single = f"(?:{_regex(kind, _quick_regex)})"
    counting = _counting(kind)
    if counting is None:
        return single
    first, last = (f"(?P<{which}_{name}>{counting.end_regex})?" for which in ("first", "last"))
    return f"(?:{first}{re.escape(_RANGE)}{last}|{single})"


def _closed_range(kind: str, counting: Counting, first: str | None, last: str | None) -> str:
    """Returns an example of a range with the one end that is known."""
    length = counting.example_length
    known = counting.parse(first or last or "")
    if known is not None:
        with contextlib.suppress(ValueError, OverflowError):
            ends = (known, known + length) if first else (known - length, known)
            return _RANGE.join(map(counting.format, ends))
    return _RANGE.join((FIELD_TYPES[kind].example,) * 2)


def _ends(shape: str) -> tuple[str, str]:
    """Returns what a shape begins with and, from right to left, what it ends with; a slash is where it is over."""
    if "{" not in shape:
        return f"{shape}/", f"{shape[::-1]}/"
    return shape[: shape.index("{")], shape[: shape.rindex("{") : -1]


def _are_apart(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one != other and not (_agree(one[0], other[0]) and _agree(one[1], other[1]))


def _agree(one: str, other: str) -> bool:
    """Whether the shorter of two shapes can begin the longer."""
    return (
        one.startswith(other)
        or other.startswith(one)
        or ("}" in one + other and all(a == b or a + b in _DIGITS for a, b in zip(one, other, strict=False)))
    )
