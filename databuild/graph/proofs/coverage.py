"""The proof that every input of every declared job has a producer, for all refs of the job.

Literal texts, strings and regular expressions are decided by automata: the language of a template has to be a subset of
the union of the languages of the patterns. Numbers and the calendar are decided by the ends of intervals: the bounds of
producers divide the values of each expression into cells, and so the values of each field into pieces for which an
expression meets the same cells. Then it is enough to look at each combination of cells once.

Two parts of a template over the same text field are equal, which automata do not know. If a proof fails only for that
reason, and the job has too many refs to look at each, the result is undecided.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from databuild.errors import InvalidPatternError
from databuild.graph.automaton import Automaton, automaton
from databuild.graph.catalog import JobCatalog
from databuild.graph.declared.expressions import Expression, first_reached
from databuild.graph.declared.template_patterns import template_pattern
from databuild.graph.declared.templates import Template
from databuild.graph.proofs.domains import (
    Domain,
    Interval,
    domain_of,
    is_produced,
    readable,
    values_near,
)
from databuild.graph.proofs.findings import MissingInput, Undecided
from databuild.graph.proofs.inclusion import TooManyStatesError, refs_outside
from databuild.graph.proofs.interval_maps import IntervalMap, interval_map
from databuild.graph.proofs.links import Link, Links
from databuild.graph.proofs.value_sets import (
    INT_LIMIT,
    is_unlimited,
    limits,
    parsed,
    pattern_automaton,
    text_of,
    values_between,
)
from databuild.tuples import NamedTuple

_MAX_COMBINATIONS: Final = 20_000
"""Maximum number of combinations of cells of one template."""

_MAX_ENUMERATED: Final = 50_000
"""Maximum number of inputs that are looked at one by one where the proof fails."""

_MAX_TRIES: Final = 50

_Cells = Mapping[int, Interval]
"""An interval of the values of each counted expression, by its position in the template."""


class Coverage(NamedTuple):
    """The results of the proof.

    Attributes:
        templates: The number of templates.
        missing: A counter-example for each template that has one.
        undecided: The templates that could not be decided.
    """

    templates: int
    missing: tuple[MissingInput, ...]
    undecided: tuple[Undecided, ...]


def check_coverage(catalog: JobCatalog, links: Links) -> Coverage:
    """Proves that the inputs of declared jobs have producers. Optional inputs need none, but valid values.

    With a lookup, which may know producers that patterns do not show, only the validity of values is decided.
    """
    missing: list[MissingInput] = []
    undecided: list[Undecided] = []
    count = 0
    for job in catalog.declared.values():
        domain = domain_of(job)
        for number, template in enumerate((*job.inputs, *job.optional_inputs)):
            count += 1
            finding: MissingInput | Undecided | None = _invalid_value(domain, template)
            if finding is None and number < len(job.inputs) and not catalog.lookup:
                finding = _TemplateCoverage(catalog, _valid(domain, template), template, links.of(template)).check()
            if isinstance(finding, MissingInput):
                missing.append(finding)
            elif finding is not None:
                undecided.append(finding)
    return Coverage(count, tuple(missing), tuple(undecided))


def _invalid_value(domain: Domain, template: Template) -> MissingInput | Undecided | None:
    """Finds an output for which the template leaves the calendar or yields too many values.

    A list that is cut off by the end of the year 9999, such as that of the dates of its last week, is no fault.
    """
    for expression in template.expressions:
        if expression.field not in domain.intervals:
            continue
        interval = interval_map(expression)
        first, last = domain.intervals[expression.field]
        valid_first, valid_last = interval.valid(first, last)
        if valid_first > first or interval.low(last) == math.inf:
            outside = first if valid_first > first else last
            hint = f"; `bounds` of the field {expression.field!r} can exclude such outputs"
            if (invalid := _invalid_output(domain, template, expression.field, outside, hint)) is not None:
                return invalid
            return Undecided(_subject(domain, template), "it leaves the years 1 to 9999 for some values")
        kind = domain.job.fields[expression.field]
        for number in (readable(kind, (first, valid_last)), valid_last):
            if (invalid := _invalid_output(domain, template, expression.field, number)) is not None:
                return invalid
    return None


def _valid(domain: Domain, template: Template) -> Domain:
    """Returns the part of a domain for which the template yields valid values only."""
    intervals = dict(domain.intervals)
    for expression in template.expressions:
        if expression.field in intervals:
            intervals[expression.field] = interval_map(expression).valid(*intervals[expression.field])
    return domain._replace(intervals=intervals)


def _invalid_output(domain: Domain, template: Template, field: str, number: int, hint: str = "") -> MissingInput | None:
    fields = domain.readable_fields()
    if not is_unlimited(number):
        fields[field] = text_of(domain.job.fields[field], number)
    output = domain.output(fields)
    if output is not None:
        try:
            template.values(fields)
        except InvalidPatternError as error:
            return MissingInput(domain.job.label, template.text, output, "", f"{error}{hint}")
    return None


def _subject(domain: Domain, template: Template) -> str:
    return f"{domain.job.label}, {template.text!r}"


class _TemplateCoverage:
    """The proof for one template."""

    def __init__(self, catalog: JobCatalog, domain: Domain, template: Template, links: Sequence[Link]) -> None:
        self._catalog = catalog
        self._domain = domain
        self._template = template
        self._links = links
        self._expressions = template.expressions
        self._maps: dict[int, IntervalMap] = {
            position: interval_map(expression)
            for position, expression in enumerate(self._expressions)
            if expression.field in domain.intervals
        }
        self._reason = ""
        self._samples: list[str] = []

    def check(self) -> MissingInput | Undecided | None:
        """Returns a counter-example if there is one; None if the proof succeeds."""
        for number, (pieces, cells) in enumerate(self._combinations()):
            if number >= _MAX_COMBINATIONS:
                self._reason = "the bounds of producers divide its values into too many parts"
                break
            if (missing := self._check_cells(pieces, cells)) is not None:
                return missing
        if not self._reason:
            return None
        usual = self._domain.readable_fields()
        values = math.prod(len(expression.values(usual[expression.field])) for expression in self._expressions)
        if self._domain.size * values <= _MAX_ENUMERATED:
            return next(filter(None, map(self._missing, self._domain.all_fields())), None)
        return Undecided(_subject(self._domain, self._template), self._reason, tuple(self._samples[:3]))

    def _combinations(self) -> Iterator[tuple[Mapping[str, Interval], _Cells]]:
        """Yields each combination of cells with the pieces of the fields for which the expressions meet them."""
        cuts = {position: sorted(self._cuts(self._expressions[position].kind)) for position in self._maps}
        used = dict.fromkeys(expression.field for expression in self._expressions)
        fields = [name for name in used if name in self._domain.intervals]
        for pieces in itertools.product(*(self._pieces(field, cuts) for field in fields)):
            by_field = dict(zip(fields, pieces, strict=True))
            columns = [self._met_cells(position, by_field, cuts[position]) for position in self._maps]
            for cells in itertools.product(*columns):
                yield by_field, dict(zip(self._maps, cells, strict=True))

    def _cuts(self, kind: str) -> set[int]:
        """Returns the values at which a new cell begins."""
        cuts: set[int] = set()
        for link in self._links:
            for name, bounds in link.pattern.bounds.items():
                if link.pattern.fields[name] == kind:
                    cuts |= {bounds.first} if bounds.first is not None else set()
                    cuts |= {bounds.last + 1} if bounds.last is not None else set()
        return cuts

    def _pieces(self, field: str, cuts: Mapping[int, Sequence[int]]) -> list[Interval]:
        """Divides the values of a field where the first or the last value of an expression enters another cell."""
        first, last = self._domain.intervals[field]
        starts = {first}
        for position, interval in self._maps.items():
            if self._expressions[position].field == field:
                for cut in cuts[position]:
                    starts.add(first_reached(first, last + 1, lambda n, i=interval, c=cut: i.low(n) >= c))  # type: ignore[misc]
                    starts.add(first_reached(first, last + 1, lambda n, i=interval, c=cut: i.high(n) >= c))  # type: ignore[misc]
        ordered = sorted(start for start in starts if start <= last)
        return [(start, stop - 1) for start, stop in itertools.pairwise([*ordered, last + 1])]

    def _met_cells(self, position: int, pieces: Mapping[str, Interval], cuts: Sequence[int]) -> list[Interval]:
        """Returns the part of each cell that an expression may meet for the values of a piece."""
        first, last = pieces[self._expressions[position].field]
        lowest, highest = limits(self._expressions[position].kind)
        low, high = self._maps[position].low(first), self._maps[position].high(last)
        low, high = low if isinstance(low, int) else lowest, high if isinstance(high, int) else highest
        starts = [low, *(cut for cut in cuts if low < cut <= high)]
        return [(start, stop - 1) for start, stop in itertools.pairwise([*starts, high + 1]) if start < stop]

    def _check_cells(self, pieces: Mapping[str, Interval], cells: _Cells) -> MissingInput | None:
        if any(link.is_exact and _contains(link, cells) for link in self._links):
            return None
        # The usual value of a piece may yield nothing in these cells; a neighbour may.
        usual = self._domain.readable_fields()
        columns = [self._usual_texts(field, piece) for field, piece in pieces.items()]
        for texts in itertools.product(*columns):
            fields: Mapping[str, str] = usual | dict(zip(pieces, texts, strict=True))
            if (missing := self._missing(fields, cells)) is not None:
                return missing
        # Candidates: texts that the automaton of the template yields and no pattern accepts. Only a check with fields
        # tells whether the template yields one, since the automaton does not know that two of its parts are equal.
        words = refs_outside(self._language(cells), [pattern_automaton(link.pattern) for link in self._links])
        try:
            for word in itertools.islice(words, _MAX_TRIES):
                for fields in self._fields_that_yield(word, pieces):
                    if (missing := self._missing(fields, cells)) is not None:
                        return missing
                self._samples.append(word)
                self._reason = self._reason or (
                    "automata do not know which values it yields together, and found only inputs that no output needs"
                )
        except TooManyStatesError:
            self._reason = "its patterns are too large to compare"
        return None

    def _usual_texts(self, field: str, piece: Interval) -> list[str]:
        kind = self._domain.job.fields[field]
        return [text_of(kind, number) for number in itertools.islice(values_near(piece, [readable(kind, piece)]), 3)]

    def _language(self, cells: _Cells) -> Automaton:
        """Returns an automaton of everything that the template may yield in some cells."""
        parts = []
        shape = template_pattern(self._template)
        names = {name: position for position, name in enumerate(shape.names)}
        for (name, kind), regex in zip(shape.pattern.parts, shape.pattern.regexes, strict=True):
            position = names.get(name, -1) if kind else -1
            if position in cells:
                parts.append(values_between(kind, *cells[position]))
            else:
                parts.append(automaton((regex,)))
        return Automaton(*parts)

    def _fields_that_yield(self, word: str, pieces: Mapping[str, Interval]) -> Iterator[Mapping[str, str]]:
        """Yields fields for which the template may yield a text."""
        shape = template_pattern(self._template)
        texts = shape.pattern.match(word)
        if texts is None:
            return
        fields = self._domain.readable_fields()
        options: dict[str, list[str]] = {name: [] for name in dict.fromkeys(e.field for e in self._expressions)}
        for position, expression in enumerate(self._expressions):
            text = texts[shape.names[position]]
            if expression.low is None:
                options[expression.field].append(text)
                continue
            value = parsed(expression.kind, text)
            if value is not None:
                first, last = pieces[expression.field]
                for numbers in expression.sources(value, max(first, -INT_LIMIT), min(last, INT_LIMIT)):
                    if numbers:
                        kind = self._domain.job.fields[expression.field]
                        ends = dict.fromkeys((numbers.start, numbers.stop - 1))
                        options[expression.field] += [text_of(kind, number) for number in ends]
        columns = [list(dict.fromkeys(texts)) for texts in options.values()]
        for values in itertools.islice(itertools.product(*columns), _MAX_TRIES):
            yield fields | dict(zip(options, values, strict=True))

    def _missing(self, fields: Mapping[str, str], cells: _Cells | None = None) -> MissingInput | None:
        """Returns a counter-example with these fields: an input, in the given cells if any, that nothing produces."""
        output = self._domain.output(fields)
        if output is None:
            return None
        columns: list[Sequence[str]] = []
        position = -1
        for part in self._template.parts:
            if not isinstance(part, Expression):
                columns.append((part,))
                continue
            position += 1
            columns.append(
                self._values(position, part, fields, cells[position] if cells and position in cells else None)
            )
        combinations = itertools.product(*columns)
        for texts in combinations if cells is None else itertools.islice(combinations, _MAX_TRIES):
            needed = "".join(texts)
            if not is_produced(self._catalog, needed):
                return MissingInput(
                    self._domain.job.label, self._template.text, output, needed, _fault(self._links, needed)
                )
        return None

    def _values(
        self, position: int, expression: Expression, fields: Mapping[str, str], cell: Interval | None
    ) -> Sequence[str]:
        text = fields[expression.field]
        if cell is None or expression.low is None:
            return expression.values(text)
        number = parsed(expression.field_kind, text)
        interval = None if number is None else self._maps[position].interval(number)
        if interval is None:
            return ()
        first, last = max(interval[0], cell[0]), min(interval[1], cell[1])
        return [text_of(expression.kind, value) for value in range(first, min(last, first + _MAX_TRIES) + 1)]


def _contains(link: Link, cells: _Cells) -> bool:
    """Returns True if the bounds of a link's pattern contain cells. The bounds do not divide cells."""
    for name, bounds in link.pattern.bounds.items():
        slot = link.slots.get(name)
        if slot is None:
            return False
        if slot.expression is not None:
            if link.template.expressions[slot.expression].kind != link.pattern.fields[name]:
                return False
            first, last = cells[slot.expression]
            if not (-math.inf if bounds.first is None else bounds.first) <= first:
                return False
            if not last <= (math.inf if bounds.last is None else bounds.last):
                return False
    return True


def _fault(links: Sequence[Link], needed: str) -> str:
    return next(filter(None, (link.pattern.explain_mismatch(needed) for link in links)), "")
