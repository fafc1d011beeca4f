"""Partition patterns: refs with named, typed fields, such as `daily_flights/date={date:date}`.

A field is `{name}` (a string without a slash), `{name:type}` with a type of `date` (2013-01-31), `month` (2013-01),
`hour` (2013-01-31T05), `int` or `str`, or `{name:/regex/}`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from databuild.errors import InvalidPatternError, InvalidRequestError, TooManyPartitionsError
from databuild.graph.field_types import FIELD_TYPES, Counting, FieldType
from databuild.graph.memo import Memo
from databuild.graph.refs import nfc, unsafe_segment

if TYPE_CHECKING:
    from databuild.graph.bounds import Bounds

_DIGITS: Final = frozenset(pair for digit in "0123456789" for pair in (f"}}{digit}", f"{digit}}}"))
"""Pairs of an unknown digit, which is `}` in shapes, and a literal digit, in either order."""

_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?::(/(?:[^/\\]|\\.)*/|\w+))?\}", re.ASCII)
_RANGE: Final = ".."
_MARKED_DOT: Final = "\ue000"
_MARKED_SLASH: Final = "\ue001"
_MARKS: Final = {".": f"[.{_MARKED_DOT}]", "/": f"[/{_MARKED_SLASH}]"}
"""Regular expressions of literal characters that also match their marks.

Marks are private-use characters, which no ref has since they are not printable.
"""

MAX_REFS: Final = 1_000_000
"""Maximum number of partitions of one request."""


class PartitionPattern:
    """One partition pattern.

    Attributes:
        text: The pattern as written.
        fields: The type, or the regular expression between slashes, of each field by name.
        parts: Each literal with an empty text, and the name of each field with its type, in order.
        has_segments: True if no value of a field has a slash.
        prefix: The literal with which all its refs begin; may be empty.
        bounds: The bounds of fields, by name. A ref out of bounds does not match. Comparisons of patterns (`regexes`,
            `is_disjoint`) disregard them.
    """

    def __init__(self, text: str, bounds: Mapping[str, str] = {}) -> None:
        """Parses a pattern, and the bounds of its fields (see `bounds`).

        Raises:
            InvalidPatternError: The pattern or a bound is invalid.
        """
        if (normal := nfc(text)) != text:
            raise InvalidPatternError(text, f"it is not in Unicode normalization form C; write it as {normal!a}")
        self.text = text
        self.fields: dict[str, str] = {}
        self.parts: list[tuple[str, str]] = []
        self.has_segments = True
        position = 0
        for field in _FIELD.finditer(text):
            self._add_literal(text[position : field.start()])
            name, kind = field.group(1), field.group(2) or "str"
            if name in self.fields:
                raise InvalidPatternError(text, f"it has the field {name!r} twice")
            self._check_kind(kind)
            self.fields[name] = kind
            self.parts.append((name, kind))
            position = field.end()
        self._add_literal(text[position:])
        if not text:
            raise InvalidPatternError(text, "a pattern cannot be empty")
        self.prefix = "" if self.parts[0][1] else self.parts[0][0]
        self.bounds = self._parse_bounds(bounds) if bounds else {}

    def _parse_bounds(self, bounds: Mapping[str, str]) -> Mapping[str, Bounds]:
        from databuild.graph.bounds import parse_bounds

        return {name: parse_bounds(name, text, self.fields) for name, text in bounds.items()}

    def _add_literal(self, literal: str) -> None:
        if "{" in literal or "}" in literal:
            fault = f"{literal!r} is not a field; fields are written {{name}}, {{name:date}} or {{name:/regex/}}"
            raise InvalidPatternError(self.text, fault)
        if literal:
            self.parts.append((literal, ""))

    def _check_kind(self, kind: str) -> None:
        if kind.startswith("/"):
            from databuild.graph.regex_tree import parse_field_regex

            if parse_field_regex(self.text, kind[1:-1]).may_match("/"):
                self.has_segments = False
        elif kind not in FIELD_TYPES:
            raise InvalidPatternError(
                self.text, f"{kind!r} is not a type; types are {', '.join(FIELD_TYPES)} or /regex/"
            )

    @functools.cached_property
    def regexes(self) -> tuple[str, ...]:
        """The regular expressions of its parts. Concatenated, they match exactly the refs of this pattern."""
        return tuple(_regex(kind, _exact_regex_of) if kind else re.escape(part) for part, kind in self.parts)

    def match(self, ref: str) -> dict[str, str] | None:
        """Returns the text of each field, by name; None if the pattern does not match the ref."""
        fields = self._match_form(ref)
        if fields is not None and self.bounds and self._out_of_bounds(fields):
            return None
        return fields

    def match_many(self, refs: Sequence[str]) -> list[tuple[str, ...]]:
        """Matches many refs at once, several times faster than `match` does.

        Args:
            refs: The refs; line breaks are not allowed.

        Returns:
            For each ref that matches, the ref and the texts of its fields in the order of `fields`. Refs that match
            only by another division of their text into fields than the first one may be missing.
        """
        regex, take = self._line_regex
        rows = regex.findall("\n".join(refs))
        if take is not None:
            rows = list(map(take, rows))
        if len(rows) < len(refs):
            rows = [row for row in rows if "\n" not in row[0]]  # a field took the text from one line to another
        for position, exists in self._existing_values:
            rows = [row for row in rows if exists[row[position]]]
        return rows

    @functools.cached_property
    def _line_regex(self) -> tuple[re.Pattern[str], Callable[[Any], tuple[str, ...]] | None]:
        """A regular expression of whole lines, and what takes the line and the fields from the groups it has found."""
        regex = re.compile(f"^({self._regex_text(_fast_regex_of)})$", re.ASCII | re.MULTILINE)
        if regex.groups == 1:
            return regex, lambda line: (line,)
        if regex.groups == 1 + len(self.fields):
            return regex, None
        return regex, operator.itemgetter(0, *(number - 1 for number in regex.groupindex.values()))

    @functools.cached_property
    def _existing_values(self) -> tuple[tuple[int, Mapping[str, bool]], ...]:
        """For each field with values that do not exist, its place in the rows of `match_many`, and which values do."""
        checks: dict[str, Callable[[str], bool]] = {name: counting.exists for name, counting in self._calendar_fields}
        checks |= {name: bounds.contains for name, bounds in self.bounds.items()}
        return tuple((place, Memo(checks[name])) for place, name in enumerate(self.fields, 1) if name in checks)

    def _out_of_bounds(self, fields: Mapping[str, str]) -> str:
        """Returns the name of a field whose value is out of bounds; empty if there is none."""
        for name, bounds in self.bounds.items():
            if not bounds.contains(fields[name]):
                return name
        return ""

    def ref(self, fields: Mapping[str, str]) -> str:
        """Returns the ref that has these texts of the fields."""
        return "".join([fields[part] if kind else part for part, kind in self.parts])

    def refs(self, columns: Mapping[str, Sequence[str]], count: int) -> Iterable[str]:
        """Returns a number of refs that have these texts of the fields; see `ref`."""
        parts = [columns[part] if kind else itertools.repeat(part, count) for part, kind in self.parts]
        return map("".join, zip(*parts, strict=True))

    def _match_form(self, ref: str) -> dict[str, str] | None:
        """Returns the fields of a ref, in bounds or not."""
        match = self._fast_regex.fullmatch(ref)
        if match is None:
            return None
        fields = match.groupdict()
        for name, counting in self._calendar_fields:
            if counting.parse(fields[name]) is None:
                # Another division of the text into fields may be valid if no literal stands between them.
                match = self._exact_regex.fullmatch(ref)
                return match.groupdict() if match is not None else None
        return fields

    @functools.cached_property
    def _calendar_fields(self) -> tuple[tuple[str, Counting], ...]:
        types = ((name, _type_of(kind)) for name, kind in self.fields.items())
        return tuple((name, t.counting) for name, t in types if t.of_calendar and t.counting is not None)

    @functools.cached_property
    def _fast_regex(self) -> re.Pattern[str]:
        return self._compile(_fast_regex_of)

    @functools.cached_property
    def _exact_regex(self) -> re.Pattern[str]:
        return self._compile(_exact_regex_of)

    def _compile(self, regex_of: Callable[[FieldType], str]) -> re.Pattern[str]:
        return re.compile(self._regex_text(regex_of), re.ASCII)

    def _regex_text(self, regex_of: Callable[[FieldType], str]) -> str:
        return "".join(
            [f"(?P<{part}>{_regex(kind, regex_of)})" if kind else re.escape(part) for part, kind in self.parts]
        )

    def explain_mismatch(self, ref: str) -> str:
        """Describes the value or range for which a ref does not match; empty if there is none."""
        if (fields := self._match_form(ref)) is not None:
            if name := self._out_of_bounds(fields):
                bounds = self.bounds[name]
                return f"{name} = {fields[name]} is outside the bounds {bounds.text!r} of the pattern {self.text!r}"
            return ""
        match = self._compile(_loose_regex_of).fullmatch(ref)
        for name, counting in self._calendar_fields:
            if match is not None and counting.parse(match[name]) is None:
                return f"the {self.fields[name]} {match[name]} does not exist"
        if _RANGE in ref and ref.startswith(self.prefix):
            if range_fault := self._open_range_fault(ref) or self._range_end_fault(ref):
                return range_fault
            if self._is_range(ref):
                return "ranges are expanded in requests only; a config has to name each partition"
        return ""

    def _is_range(self, text: str) -> bool:
        try:
            return self.expand(text) is not None
        except InvalidRequestError:
            return True

    def allows_unsafe_segments(self, ref: str) -> bool:
        """Returns True if literal characters of the pattern match each segment of a ref that is empty, `.` or `..`.

        Literal characters are those of its text and of its regular expressions, but not wildcards, character classes
        or typed fields.
        """
        if unsafe_segment(ref) is None:
            return True
        # The characters of unsafe segments are replaced by marks, which only literal characters of the pattern match.
        marked = []
        for number, segment in enumerate(segments := ref.split("/")):
            if number:
                empty = not segment or (number == 1 and not segments[0])
                marked.append(_MARKED_SLASH if empty else "/")
            marked.append(segment.replace(".", _MARKED_DOT) if segment in {".", ".."} else segment)
        return self._marked_regex.fullmatch("".join(marked)) is not None

    @functools.cached_property
    def _marked_regex(self) -> re.Pattern[str]:
        """Matches refs with marks; only literal characters of the pattern match a mark."""
        from databuild.graph.regex_tree import literal_regex, parse_regex

        parts = []
        for part, kind in self.parts:
            if kind.startswith("/"):
                parts.append(literal_regex(parse_regex(kind[1:-1]), _MARKS))
            elif kind:
                parts.append(f"(?:(?![{_MARKED_DOT}{_MARKED_SLASH}]){FIELD_TYPES[kind].regex})")
            else:
                parts.append("".join(_MARKS.get(character, re.escape(character)) for character in part))
        return re.compile("".join(parts), re.ASCII)

    def range_lookalike(self, ref: str) -> tuple[str, str, str] | None:
        """Finds a text that looks like a range but is one value, since its field has no countable type.

        Returns:
            The name of the field, its text, and the type that would make it a range; None if there is no such text.
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

    def _open_range_fault(self, ref: str) -> str:
        """Describes a range without an end or without a beginning; empty if there is none."""
        parts = (_open_range_regex(part, kind) if kind else re.escape(part) for part, kind in self.parts)
        match = re.fullmatch("".join(parts), ref, re.ASCII)
        for name, kind in self.fields.items():
            counting = _counting(kind)
            if match is None or counting is None:
                continue
            first, last = match[f"first_{name}"], match[f"last_{name}"]
            bounds = self.bounds.get(name)
            if bounds is not None:
                first, last = first or bounds.first_text, last or bounds.last_text
            if bool(first) != bool(last):
                missing = "end" if first else "beginning"
                text = f"{first or ''}{_RANGE}{last or ''}"
                example = _closed_range(kind, counting, first, last)
                return f"the range {text!r} has no {missing}; write both, such as {example}"
        return ""

    def _range_end_fault(self, ref: str) -> str:
        """Describes an end of a range that is no value of the field; empty if there is none."""
        parts = (_any_range_regex(part, kind) if kind else re.escape(part) for part, kind in self.parts)
        match = re.fullmatch("".join(parts), ref, re.ASCII)
        for name, kind in self.fields.items():
            counting = _counting(kind)
            if match is None or counting is None:
                continue
            ends = (match[f"first_{name}"], match[f"last_{name}"])
            for end in filter(None, ends):
                if re.fullmatch(counting.end_regex, end, re.ASCII) is None:
                    example = FIELD_TYPES[kind].example
                    return f"{end!r} in the range {_RANGE.join(ends)!r} is not of the type {kind!r}, such as {example}"
        return ""

    def is_disjoint(self, other: PartitionPattern) -> bool:
        """Returns True if a comparison of literals shows that no ref matches both patterns.

        Much cheaper than `overlap.shortest_common_ref`, which decides if this returns False.
        """
        if self.has_segments and other.has_segments:
            return len(self._segments) != len(other._segments) or any(
                map(_are_disjoint, self._segments, other._segments)
            )
        return _are_disjoint(_literal_ends(self._shape), _literal_ends(other._shape))

    @functools.cached_property
    def _segments(self) -> tuple[tuple[str, str], ...]:
        return tuple(map(_literal_ends, self._shape.split("/")))

    @functools.cached_property
    def _shape(self) -> str:
        """The pattern with `}` for each digit of a calendar field and `{` for other fields; literals have no braces."""
        return "".join(_type_of(kind).shape if kind else part for part, kind in self.parts)

    def example(self) -> str:
        """Returns a ref that looks like those of this pattern; a regular expression may not match it."""
        return "".join(_type_of(kind).example if kind else text for text, kind in self.parts)

    def expand(self, text: str) -> list[str] | None:
        """Returns the refs of a range such as `date=2013-01-01..2013-01-31`; None if the text is not a range of it.

        Both ends are part of the range. An end that is left out is that of the field's bounds.

        Raises:
            InvalidRequestError: The range ends before it begins, or is out of bounds.
            TooManyPartitionsError: The range is too long for one request.
        """
        if _RANGE not in text or not text.startswith(self.prefix):
            return None
        parts = (
            _range_regex(part, kind, self.bounds.get(part)) if kind else re.escape(part) for part, kind in self.parts
        )
        match = re.fullmatch("".join(parts), text, re.ASCII)
        if match is None:
            return None
        refs = [""]
        count = 1
        for part, kind in self.parts:
            if not kind:
                refs = [ref + part for ref in refs]
                continue
            single = match.group(f"single_{part}")
            if single is not None:
                self._check_bounds(text, part, single)
            values = [single] if single is not None else self._range_values(text, kind, match, part)
            count *= len(values)
            if count > MAX_REFS:
                message = (
                    f"the range {text!r} has at least {count:,} partitions, but a request may have at most "
                    f"{MAX_REFS:,}; split it into shorter ranges, each a request of its own"
                )
                raise TooManyPartitionsError(MAX_REFS, message)
            refs = [ref + value for ref in refs for value in values]
        # The values of ranges are valid, and single values are the same in all refs: two refs stand for all.
        return refs if all(self.match(ref) is not None for ref in (refs[0], refs[-1])) else None

    def _range_values(self, text: str, kind: str, match: re.Match[str], name: str) -> Sequence[str]:
        counting = _counting(kind)
        assert counting is not None
        bounds = self.bounds.get(name)
        first_text, last_text = match[f"first_{name}"], match[f"last_{name}"]
        if bounds is not None:
            first_text, last_text = first_text or bounds.first_text, last_text or bounds.last_text
        first, last = counting.parse(first_text), counting.parse(last_text)
        if first is None or last is None:
            message = f"{text!r} has a {kind} that does not exist"
            raise InvalidRequestError(message)
        if first > last:
            message = f"the range {text!r} ends before it begins"
            raise InvalidRequestError(message)
        for end in (first_text, last_text):
            self._check_bounds(text, name, end)
        return counting.values(first, last)

    def _check_bounds(self, text: str, name: str, value: str) -> None:
        bounds = self.bounds.get(name)
        if bounds is not None and not bounds.contains(value):
            message = f"{name} = {value} in {text!r} is outside the bounds {bounds.text!r} of the pattern {self.text!r}"
            raise InvalidRequestError(message)


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


def _fast_regex_of(field_type: FieldType) -> str:
    return field_type.regex


def _exact_regex_of(field_type: FieldType) -> str:
    return field_type.exact_regex


def _loose_regex_of(field_type: FieldType) -> str:
    """Also matches values of the calendar that do not exist, such as 2013-02-30."""
    counting = field_type.counting
    return counting.end_regex if counting is not None and field_type.of_calendar else field_type.regex


def _regex(kind: str, regex_of: Callable[[FieldType], str]) -> str:
    return kind[1:-1] if kind.startswith("/") else regex_of(FIELD_TYPES[kind])


def _range_regex(name: str, kind: str, bounds: Bounds | None) -> str:
    single = f"(?P<single_{name}>{_regex(kind, _fast_regex_of)})"
    counting = _counting(kind)
    if counting is None:
        return single
    first = f"(?P<first_{name}>{counting.end_regex}){'?' if bounds and bounds.first_text else ''}"
    last = f"(?P<last_{name}>{counting.end_regex}){'?' if bounds and bounds.last_text else ''}"
    return f"(?:{first}{re.escape(_RANGE)}{last}|{single})"


def _open_range_regex(name: str, kind: str) -> str:
    single = f"(?:{_regex(kind, _fast_regex_of)})"
    counting = _counting(kind)
    if counting is None:
        return single
    first, last = (f"(?P<{which}_{name}>{counting.end_regex})?" for which in ("first", "last"))
    return f"(?:{first}{re.escape(_RANGE)}{last}|{single})"


def _any_range_regex(name: str, kind: str) -> str:
    """Matches ranges of any texts as well."""
    single = f"(?:{_regex(kind, _fast_regex_of)})"
    if _counting(kind) is None:
        return single
    return f"(?:{single}|(?P<first_{name}>[^/]*?){re.escape(_RANGE)}(?P<last_{name}>[^/]*))"


def _closed_range(kind: str, counting: Counting, first: str | None, last: str | None) -> str:
    """Returns an example of a range that has the given end, or else the given beginning."""
    length = counting.example_length
    given = counting.parse(first or last or "")
    if given is not None:
        with contextlib.suppress(ValueError, OverflowError):
            ends = (given, given + length) if first else (given - length, given)
            return _RANGE.join(map(counting.format, ends))
    return _RANGE.join((FIELD_TYPES[kind].example,) * 2)


def _literal_ends(shape: str) -> tuple[str, str]:
    """Returns the literal beginning of a shape, and its literal end from right to left."""
    if "{" not in shape:
        # The slash, which no segment has, marks that the text is complete: a longer one does not match.
        return f"{shape}/", f"{shape[::-1]}/"
    return shape[: shape.index("{")], shape[: shape.rindex("{") : -1]


def _are_disjoint(first: tuple[str, str], second: tuple[str, str]) -> bool:
    return first != second and not (_compatible(first[0], second[0]) and _compatible(first[1], second[1]))


def _compatible(first: str, second: str) -> bool:
    """Returns True if some text begins with both shapes."""
    return (
        first.startswith(second)
        or second.startswith(first)
        or ("}" in first + second and all(a == b or a + b in _DIGITS for a, b in zip(first, second, strict=False)))
    )
