"""Partition patterns: refs with named, typed fields, such as `daily_flights/date={date:date}`.

A field is `{name}` (a string without a slash), `{name:type}` with a type of `date` (2013-01-31), `month` (2013-01),
`hour` (2013-01-31T05), `int` or `str`, or `{name:/regex/}`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from databuild.errors import InvalidPatternError, InvalidRequestError, TooManyPartitionsError
from databuild.graph.refs import nfc, odd_segment

_REGEX_OF_TYPE: Final = {
    "date": r"\d{4}-\d{2}-\d{2}",
    "month": r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])",
    "hour": r"\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3])",
    "int": r"-?(?:0|[1-9]\d*)",
    "str": r"[^/\s\x00-\x1f]+",
}
"""What is matched: quick to compile, and so for types of the calendar not the last word."""

_OF_THE_CALENDAR: Final = frozenset({"date", "hour"})

_YEAR: Final = r"(?:\d{3}[1-9]|\d{2}[1-9]0|\d[1-9]00|[1-9]000)"
_LEAP_YEAR: Final = r"(?:\d{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAY: Final = (
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"  # every month
    "|(?:0[13-9]|1[0-2])-(?:29|30)"  # all but February
    "|(?:0[13578]|1[02])-31)"  # the long ones
)
_DATE: Final = f"(?:{_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)"
_EXACT_REGEX_OF_TYPE: Final = _REGEX_OF_TYPE | {
    "date": _DATE,
    "month": f"{_YEAR}-(?:0[1-9]|1[0-2])",
    "hour": rf"{_DATE}T(?:[01]\d|2[0-3])",
}
"""The same by the Gregorian calendar, and regular in the strict sense."""

_CALENDAR_SHAPE_OF_TYPE: Final = {
    "date": r"\d{4}-\d{2}-\d{2}",
    "month": r"\d{4}-\d{2}",
    "hour": r"\d{4}-\d{2}-\d{2}T\d{2}",
}
_RANGE_END_OF_TYPE: Final = _CALENDAR_SHAPE_OF_TYPE | {"int": r"-?\d+"}
_EXAMPLE_OF_TYPE: Final = {
    "date": "2013-01-31",
    "month": "2013-01",
    "hour": "2013-01-31T05",
    "int": "7",
    "str": "x",
}
_SHAPE_OF_TYPE: Final = {"date": "}}}}-}}-}}", "month": "}}}}-}}", "hour": "}}}}-}}-}}T}}"}
_DIGITS: Final = frozenset(pair for digit in "0123456789" for pair in (f"}}{digit}", f"{digit}}}"))
"""An unknown digit and a known one, in either order."""

_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?::(/(?:[^/\\]|\\.)*/|\w+))?\}", re.ASCII)
_RANGE: Final = ".."
_EXAMPLE_LENGTH_OF_TYPE: Final = {"date": 30, "month": 11, "hour": 23, "int": 9}
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
        elif kind not in _REGEX_OF_TYPE:
            raise InvalidPatternError(
                self.text, f"{kind!r} is no type; types are {', '.join(_REGEX_OF_TYPE)} or /regex/"
            )

    @functools.cached_property
    def regexes(self) -> tuple[str, ...]:
        """The regular expressions of its parts: one after another they match exactly the refs of this pattern."""
        return tuple(_regex(kind, _EXACT_REGEX_OF_TYPE) if kind else re.escape(part) for part, kind in self._parts)

    def match(self, ref: str) -> dict[str, str] | None:
        """Returns the text of each field, or None where the ref is not of this pattern."""
        found = self._quick.fullmatch(ref)
        if found is None:
            return None
        fields = found.groupdict()
        for name, kind in self.fields.items():
            if kind in _OF_THE_CALENDAR and _VALUES[kind].parse(fields[name]) is None:
                found = self._exact.fullmatch(ref)  # fields without a separator may be told apart in another way
                return found.groupdict() if found is not None else None
        return fields

    @functools.cached_property
    def _quick(self) -> re.Pattern[str]:
        return self._compile(_REGEX_OF_TYPE)

    @functools.cached_property
    def _exact(self) -> re.Pattern[str]:
        return self._compile(_EXACT_REGEX_OF_TYPE)

    def _compile(self, regexes: Mapping[str, str]) -> re.Pattern[str]:
        parts = (f"(?P<{part}>{_regex(kind, regexes)})" if kind else re.escape(part) for part, kind in self._parts)
        return re.compile("".join(parts), re.ASCII)

    def fault_of(self, ref: str) -> str:
        """Returns which date, month, hour or range keeps a ref from being of this pattern, in words; empty for none."""
        found = self._compile(_REGEX_OF_TYPE | _CALENDAR_SHAPE_OF_TYPE).fullmatch(ref)
        for name, kind in self.fields.items():
            if found is not None and kind in _CALENDAR_SHAPE_OF_TYPE and _VALUES[kind].parse(found[name]) is None:
                return f"the {kind} {found[name]} does not exist"
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
                parts.append(f"(?:(?![{_MARKED_DOT}{_MARKED_SLASH}]){_REGEX_OF_TYPE[kind]})")
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
            for kind, steps in _VALUES.items():
                shape = re.compile(_REGEX_OF_TYPE[kind])
                if ends and all(shape.fullmatch(end) and steps.parse(end) is not None for end in ends):
                    return name, text, kind
        return None

    def _open_range(self, ref: str) -> str:
        """Returns that a range in a text has no end, or no beginning, in words; empty where there is no such range."""
        parts = (_open_regex(part, kind) if kind else re.escape(part) for part, kind in self._parts)
        found = re.fullmatch("".join(parts), ref, re.ASCII)
        for name, kind in self.fields.items():
            if found is None or kind not in _VALUES:
                continue
            first, last = found[f"first_{name}"], found[f"last_{name}"]
            if bool(first) != bool(last):
                lacks = "no end" if first else "no beginning"
                text = f"{first or ''}{_RANGE}{last or ''}"
                return f"the range {text!r} has {lacks}; write both, such as {_closed_range(kind, first, last)}"
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
        return "".join(_SHAPE_OF_TYPE.get(kind, "{") if kind else part for part, kind in self._parts)

    def example(self) -> str:
        """Returns a ref that looks like those of this pattern."""
        return "".join(_EXAMPLE_OF_TYPE.get(kind, "x") if kind else text for text, kind in self._parts)

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
        steps = _VALUES[kind]
        first, last = steps.parse(found.group(f"first_{name}")), steps.parse(found.group(f"last_{name}"))
        if first is None or last is None:
            message = f"{text!r} has a {kind} that does not exist"
            raise InvalidRequestError(message)
        if first > last:
            message = f"the range {text!r} ends before it begins"
            raise InvalidRequestError(message)
        return _Texts(range(first, last + 1), steps.format)


def _regex(kind: str, regexes: Mapping[str, str]) -> str:
    return kind[1:-1] if kind.startswith("/") else regexes[kind]


def _range_regex(name: str, kind: str) -> str:
    single = f"(?P<single_{name}>{_regex(kind, _REGEX_OF_TYPE)})"
    if kind not in _VALUES:
        return single
    first, last = (f"(?P<{which}_{name}>{_RANGE_END_OF_TYPE[kind]})" for which in ("first", "last"))
    return f"(?:{first}{re.escape(_RANGE)}{last}|{single})"


def _open_regex(name: str, kind: str) -> str:
    if kind not in _VALUES:
        return f"(?:{_regex(kind, _REGEX_OF_TYPE)})"
    first, last = (f"(?P<{which}_{name}>{_RANGE_END_OF_TYPE[kind]})?" for which in ("first", "last"))
    return f"(?:{first}{re.escape(_RANGE)}{last}|{_REGEX_OF_TYPE[kind]})"


def _closed_range(kind: str, first: str | None, last: str | None) -> str:
    """Returns an example of a range with the one end that is known."""
    steps, length = _VALUES[kind], _EXAMPLE_LENGTH_OF_TYPE[kind]
    known = steps.parse(first or last or "")
    if known is not None:
        with contextlib.suppress(ValueError, OverflowError):
            ends = (known, known + length) if first else (known - length, known)
            return _RANGE.join(map(steps.format, ends))
    return _RANGE.join((_EXAMPLE_OF_TYPE[kind],) * 2)


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


class _Texts(Sequence[str]):
    """The values of a range, made when they are asked for: how many there are is known before."""

    def __init__(self, numbers: range, form: Callable[[int], str]) -> None:
        self._numbers = numbers
        self._form = form

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        return self._form(self._numbers[index])


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
        lambda text: (first := dt.date.fromisoformat(f"{text}-01")).year * 12 + first.month - 1,
        lambda number: f"{number // 12:04}-{number % 12 + 1:02}",
    ),
    "hour": _Steps(
        lambda text: int((dt.datetime.fromisoformat(text) - _EPOCH).total_seconds()) // 3600,
        lambda number: (_EPOCH + dt.timedelta(hours=number)).isoformat(timespec="hours"),
    ),
    "int": _Steps(int, str),
}
