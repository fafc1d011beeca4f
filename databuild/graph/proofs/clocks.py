"""Clocks: one field of each job of a component, such that each edge computes the clock of one job from that of another.

If every way around from a job to itself yields an earlier value of its clock, no ref of it needs itself. The ends of
expressions are monotonic, so the latest value after a way around is found by following the last values. It has to be
looked at for one period only: a week if nothing depends on months, else 400 years, after which the Gregorian calendar,
weeks included, repeats.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from databuild.graph.declared.expressions import parse_expression
from databuild.graph.field_types import OF_MONTHS
from databuild.graph.periods import DAYS_PER_WEEK, MINUTES_PER_DAY, UNITS
from databuild.graph.proofs.dependency_edges import JobEdge, cyclic_components
from databuild.graph.proofs.domains import Domain, Interval
from databuild.graph.proofs.interval_maps import IntervalMap, interval_map
from databuild.graph.proofs.value_sets import is_counted, is_unlimited
from databuild.tuples import NamedTuple

_MAX_STEPS: Final = 150_000
"""Maximum number of evaluations of expressions for one component, and for one expression."""

_PERIOD_START: Final = "4000-01-03"
"""Far from both ends of the calendar; a Monday."""

_PERIOD_END: Final = "4400-01-03"


class _TooManyStepsError(Exception):
    """The proof would take too long."""


class Clock(NamedTuple):
    """One field of each job of a component.

    Attributes:
        fields: The field, by the label of the job.
        kinds: The type of its values, by the label of the job.
        maps: The function from the clock of the source to that of the target, by edge.
    """

    fields: Mapping[str, str]
    kinds: Mapping[str, str]
    maps: Mapping[int, IntervalMap]


def clocks(edges: Sequence[JobEdge], domains: Mapping[str, Domain]) -> Iterator[Clock]:
    """Yields the clocks of a component. The maps have the positions of the edges as keys."""
    into: dict[str, list[JobEdge]] = {}
    for edge in edges:
        into.setdefault(edge.target, []).append(edge)
    # Every job has a way to the first one, and an edge determines the clock of its source.
    root = edges[0].target
    for field in domains[root].job.fields:
        fields = {root: field}
        pending = [root]
        while pending and fields:
            label = pending.pop()
            for edge in into[label]:
                expression = edge.expression(fields[label])
                if expression is None or fields.get(edge.source, expression.field) != expression.field:
                    fields = {}
                    break
                if edge.source not in fields:
                    fields[edge.source] = expression.field
                    pending.append(edge.source)
        if fields and (kinds := _kinds(fields, edges, domains)):
            yield Clock(fields, kinds, dict(enumerate(_maps(fields, edges))))


def _maps(fields: Mapping[str, str], edges: Sequence[JobEdge]) -> Iterator[IntervalMap]:
    for edge in edges:
        expression = edge.expression(fields[edge.target])
        assert expression is not None
        yield interval_map(expression)


def _kinds(fields: Mapping[str, str], edges: Sequence[JobEdge], domains: Mapping[str, Domain]) -> dict[str, str]:
    """Returns the type of each job's clock; empty if they do not fit together, or nothing is counted.

    A text gets the type of the values that it passes on.
    """
    own = {label: domains[label].job.fields[field] for label, field in fields.items()}
    kinds = {label: kind for label, kind in own.items() if is_counted(kind)}
    pending = list(edges)
    while pending:
        later = []
        for edge in pending:
            expression = edge.expression(fields[edge.target])
            assert expression is not None
            kind = expression.kind if is_counted(expression.kind) else kinds.get(edge.source)
            if kind is None:
                later.append(edge)
            elif kinds.setdefault(edge.target, kind) != kind:
                return {}
        if len(later) == len(pending):
            return {}
        pending = later
    return kinds


class ClockProof:
    """Finds the edges of a component that no way around can use, since the clock never comes back."""

    def __init__(
        self,
        edges: Sequence[JobEdge],
        domains: Mapping[str, Domain],
        clock: Clock,
        steps: Iterator[int],
        *,
        backwards: bool,
    ) -> None:
        """Prepares the proof.

        Args:
            edges: The edges of a component.
            domains: The domains of the jobs.
            clock: The clock.
            steps: The number of evaluations so far, for all proofs of a component.
            backwards: True to prove that the clock goes back; False that it goes forward.
        """
        self._edges = edges
        self._domains = domains
        self._clock = clock
        # Forwards, all numbers are negated, so that there is one direction only.
        self._sign = 1 if backwards else -1
        self._steps = steps

    def edges_without_return(self) -> set[int]:
        """Returns the positions of edges; every way around that uses one of them moves the clock strictly."""
        if len(set(self._clock.kinds.values())) == 1:
            moves = {position: self._move(position) for position in self._clock.maps}
            if all(move <= 0 for move in moves.values()):
                return {position for position, move in moves.items() if move < 0}
        removed: set[int] = set()
        try:
            for label in sorted(self._clock.fields, key=self._coarseness):
                left = self._cyclic(removed)
                at_label = {n for n in left if label in {self._edges[n].source, self._edges[n].target}}
                if at_label and self._is_strict(label, left):
                    removed |= at_label
            for number in sorted(self._cyclic(removed)):
                left = self._cyclic(removed)
                if number in left and self._is_strict(self._edges[number].source, left, first=number):
                    removed.add(number)
        except _TooManyStepsError:
            pass
        return removed | (set(self._clock.maps) - self._cyclic(removed) if removed else set())

    def _move(self, position: int) -> int:
        """Returns where an edge between clocks of one type moves them, as `_direction` does."""
        field = self._clock.fields[self._edges[position].source]
        expression = self._edges[position].expression(self._clock.fields[self._edges[position].target])
        assert expression is not None
        if expression.low is None:
            return 0
        points = ("*" + point[len(field) :] for point in expression.text[1:-1].split(".."))
        return _direction(expression.field_kind, "..".join(points), self._sign)

    def ends(self, removed: Collection[int]) -> set[int]:
        """Returns the removed edges that no endless chain uses, since bounds or the calendar end it."""
        if all(kind != "int" for kind in self._clock.kinds.values()):
            return set(removed)
        unbounded = {label for label in self._clock.fields if not self._has_end(label)}
        inside = [
            (number, edge)
            for number, edge in enumerate(self._edges)
            if edge.source in unbounded and edge.target in unbounded
        ]
        endless = {id(edge) for component in cyclic_components(edge for _, edge in inside) for edge in component}
        return {number for number in removed if id(self._edges[number]) not in endless}

    def _has_end(self, label: str) -> bool:
        interval = self._domains[label].intervals.get(self._clock.fields[label])
        return interval is not None and not is_unlimited(interval[0] if self._sign > 0 else interval[1])

    def _cyclic(self, removed: Collection[int]) -> set[int]:
        numbers = {id(edge): number for number, edge in enumerate(self._edges)}
        left = [edge for number, edge in enumerate(self._edges) if number not in removed]
        return {numbers[id(edge)] for component in cyclic_components(left) for edge in component}

    def _coarseness(self, label: str) -> tuple[int, str]:
        """Orders jobs by the number of values that a proof has to look at, fewest first."""
        order = ["int", *reversed(UNITS)]
        return order.index(self._clock.kinds[label]), label

    def _is_strict(self, label: str, edges: Collection[int], first: int | None = None) -> bool:
        """Returns True if every way from a job back to itself moves its clock strictly backwards.

        Args:
            label: The job.
            edges: The edges of the ways.
            first: The edge with which the ways begin, and which they may leave and enter the job after; None for any.
        """
        domain = self._domains[label].intervals.get(self._clock.fields[label])
        if domain is None:
            return False
        jobs = {label for position in edges for label in (self._edges[position].source, self._edges[position].target)}
        uses_months = any(self._clock.maps[position].uses_months for position in edges)
        uses_months = uses_months or any(self._clock.kinds[job] in OF_MONTHS for job in jobs)
        window = _period(self._clock.kinds[label], uses_months=uses_months)
        within_bounds = not any(map(is_unlimited, domain)) and domain[1] - domain[0] <= window[1] - window[0]
        if within_bounds:
            window = domain
        lowest, number = sorted(self._sign * end for end in window)
        out: dict[str, list[int]] = {}
        for position in edges:
            out.setdefault(self._edges[position].source, []).append(position)
        while number >= lowest:
            latest = self._latest_return(label, number, out, first, within_bounds=within_bounds)
            if latest >= number:
                return False
            if latest == -math.inf:
                break
            # The numbers between return no later, so they need no check.
            number = int(latest)
        return True

    def _latest_return(
        self, label: str, number: int, out: Mapping[str, Sequence[int]], first: int | None, *, within_bounds: bool
    ) -> float:
        """Returns the latest clock with which a way from a job comes back; infinity if there is no latest."""
        latest: dict[str, float] = {}
        level: dict[str, float] = {label: number}
        for step in range(len(out) + 2):
            reached: dict[str, float] = {}
            for source, value in level.items():
                for position in out.get(source, ()) if step or first is None else (first,):
                    target = self._edges[position].target
                    image = self._image(position, target, value, within_bounds=within_bounds)
                    if image > latest.get(target, -math.inf):
                        latest[target] = reached[target] = image
            if first is None:
                reached.pop(label, None)
            if not reached:
                return latest.get(label, -math.inf)
            level = reached
        return math.inf

    def _image(self, position: int, target: str, value: float, *, within_bounds: bool) -> float:
        if next(self._steps) > _MAX_STEPS:
            raise _TooManyStepsError
        interval = self._clock.maps[position]
        image = interval.high(value) if self._sign > 0 else -interval.low(-value)
        domain = self._domains[target].intervals.get(self._clock.fields[target])
        if not within_bounds or domain is None:
            return image
        lowest, highest = sorted(self._sign * end for end in domain)
        return -math.inf if image < lowest else min(image, highest)


def _period(kind: str, *, uses_months: bool) -> Interval:
    """Returns the ends of a period after which everything repeats."""
    if kind == "int":
        return 0, 0
    date = UNITS["date"]
    start = date.start(date.parse(_PERIOD_START))
    end = date.start(date.parse(_PERIOD_END)) if uses_months else start + DAYS_PER_WEEK * MINUTES_PER_DAY
    return UNITS[kind].of_minute(start), UNITS[kind].of_minute(end - 1)


@functools.cache
def _direction(kind: str, points: str, sign: int) -> int:
    """Returns -1 if an expression yields only values before its field, 0 if not after it, and else 1.

    Args:
        kind: The type of the field.
        points: The expression without braces, and with `*` as its field.
        sign: -1 to exchange before and after.
    """
    interval = interval_map(parse_expression(f"{{{points.replace('*', 'x')}}}", {"x": kind}, lists=True, formats=False))
    lowest, number = sorted(sign * end for end in _period(kind, uses_months=interval.uses_months or kind in OF_MONTHS))
    direction = -1
    for _ in range(_MAX_STEPS):
        image = interval.high(number) if sign > 0 else -interval.low(-number)
        if image > number or image == -math.inf:
            return 1
        direction = max(direction, 0 if image == number else -1)
        number = int(image) if image < number else number - 1
        if number < lowest:
            return direction
    return 1
