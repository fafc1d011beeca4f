"""Links between declared jobs and the patterns that their templates meet: where the values of fields go.

A link has, for each field of the producer's pattern, the expression whose value it gets. That is decided segment by
segment, and only where a segment can be divided in one way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from databuild.graph.automaton import automaton
from databuild.graph.catalog import JobCatalog
from databuild.graph.declared.template_patterns import PatternsByPrefix, TemplatePattern, template_pattern
from databuild.graph.declared.templates import Template
from databuild.graph.field_types import FIELD_TYPES
from databuild.graph.overlap import shortest_common_ref
from databuild.graph.patterns import PartitionPattern
from databuild.graph.proofs.inclusion import TooManyStatesError, refs_outside
from databuild.graph.proofs.value_sets import is_counted
from databuild.tuples import NamedTuple

_Parts = Sequence[tuple[str, str]]
"""As in `PartitionPattern.parts`; the name of a template's field is the position of its expression."""


class Slot(NamedTuple):
    """The value that a field of a producer's pattern gets.

    Attributes:
        expression: The position of the expression, among those of the template, whose value it is; None for a text.
        text: The text.
    """

    expression: int | None
    text: str = ""


class Link(NamedTuple):
    """A pattern that matches refs which a template yields.

    Attributes:
        template: The template.
        pattern: The pattern.
        producer: The label of the pattern's job.
        slots: The value that each field of the pattern gets; a field is absent if its value is not known.
        is_exact: True if the pattern, without its bounds, matches everything that the template yields.
    """

    template: Template
    pattern: PartitionPattern
    producer: str
    slots: Mapping[str, Slot]
    is_exact: bool


class Links:
    """Finds the patterns of a catalog that match what templates yield."""

    def __init__(self, catalog: JobCatalog) -> None:
        self._patterns = PatternsByPrefix(catalog.patterns)
        self._cache: dict[tuple[str, tuple[str, ...], bool], tuple[Link, ...]] = {}

    def of(self, template: Template, *, any_value: bool = False) -> tuple[Link, ...]:
        """Returns the links of a template; with `any_value`, of refs that have one more segment, or the rest of one."""
        key = (template.text, tuple(expression.kind for expression in template.expressions), any_value)
        links = self._cache.get(key)
        if links is None:
            links = self._cache[key] = tuple(self._find(template, template_pattern(template, any_value=any_value)))
        return links

    def _find(self, template: Template, shape: TemplatePattern) -> Iterator[Link]:
        for pattern, label in self._patterns.candidates(shape.pattern.prefix):
            if (link := _link(template, shape, pattern, label)) is not None:
                yield link


def _link(template: Template, shape: TemplatePattern, pattern: PartitionPattern, producer: str) -> Link | None:
    """Returns the link of a template with a pattern; None if no ref is of both, whatever the bounds of the template."""
    if shape.pattern.is_disjoint(pattern):
        return None
    positions = {name: position for position, name in enumerate(shape.names)}
    slots: dict[str, Slot] = {}
    is_exact = True
    for ours, theirs in _segments(shape.pattern, pattern):
        aligned = _align(ours, theirs, positions)
        if aligned is None:
            return None
        slots |= aligned[0]
        is_exact = is_exact and aligned[1]
    if not is_exact and shortest_common_ref(shape.pattern, pattern) is None:
        return None
    for name, bounds in pattern.bounds.items():
        slot = slots.get(name)
        if slot is not None and slot.expression is None and not bounds.contains(slot.text):
            return None
    return Link(template, pattern, producer, slots, is_exact)


def _segments(first: PartitionPattern, second: PartitionPattern) -> Iterator[tuple[_Parts, _Parts]]:
    if not (first.has_segments and second.has_segments):
        yield first.parts, second.parts
        return
    yield from zip(_split(first.parts), _split(second.parts), strict=True)


def _split(parts: _Parts) -> list[list[tuple[str, str]]]:
    segments: list[list[tuple[str, str]]] = [[]]
    for text, kind in parts:
        if kind:
            segments[-1].append((text, kind))
            continue
        first, *others = text.split("/")
        segments[-1] += [(first, "")] if first else []
        segments += [[(other, "")] if other else [] for other in others]
    return segments


def _align(ours: _Parts, theirs: _Parts, positions: Mapping[str, int]) -> tuple[dict[str, Slot], bool] | None:
    """Finds what the fields of a pattern's segment get from a template's segment.

    Returns:
        The slots that are known, and whether the pattern's segment matches whatever the template's segment yields;
        None if it matches nothing of that.
    """
    our_kinds, their_kinds = [kind for _, kind in ours if kind], [kind for _, kind in theirs if kind]
    if not our_kinds:
        return _align_text("".join(text for text, _ in ours), theirs)
    same_form = len(ours) == len(theirs) and all(
        bool(kind) == bool(other_kind) and (kind or text == other_text)
        for (text, kind), (other_text, other_kind) in zip(ours, theirs, strict=True)
    )
    if not same_form or not _divides_in_one_way(our_kinds, their_kinds):
        return {}, False
    slots = {
        theirs_name: Slot(positions[name])
        for (name, kind), (theirs_name, _) in zip(ours, theirs, strict=True)
        if kind and name in positions
    }
    return slots, all(map(_is_subtype, our_kinds, their_kinds))


def _align_text(text: str, theirs: _Parts) -> tuple[dict[str, Slot], bool] | None:
    fields = [(name, kind) for name, kind in theirs if kind]
    if not fields:
        return ({}, True) if text == "".join(literal for literal, _ in theirs) else None
    if len(fields) > 1:
        return {}, False
    match = PartitionPattern("".join(f"{{{name}:{kind}}}" if kind else name for name, kind in theirs)).match(text)
    return None if match is None else ({name: Slot(None, match[name]) for name, _ in fields}, True)


def _divides_in_one_way(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Returns True if at most one field has no fixed length, and those with one stand at the same places."""
    if len(ours) == 1:
        return True
    return (
        sum(not _has_fixed_length(kind) for kind in theirs) <= 1
        and sum(not _has_fixed_length(kind) for kind in ours) <= 1
        and all(
            not _has_fixed_length(theirs_kind) or kind == theirs_kind
            for kind, theirs_kind in zip(ours, theirs, strict=True)
        )
    )


def _has_fixed_length(kind: str) -> bool:
    return kind in FIELD_TYPES and FIELD_TYPES[kind].of_calendar


def _is_subtype(kind: str, other: str) -> bool:
    """Returns True if a type has all values of another one, and it is decided without much work."""
    if kind == other:
        return True
    if other == "str":
        return is_counted(kind)
    regexes = [text[1:-1] if text.startswith("/") else FIELD_TYPES[text].exact_regex for text in (kind, other)]
    one, another = (automaton((f"x(?:{regex})",)) for regex in regexes)
    try:
        return next(refs_outside(one, [another]), None) is None
    except TooManyStatesError:
        return False
