"""Describes the differences between two configurations of a job: arguments, variables and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from databuild.model.job_graph import JobConfig
from databuild.model.records import Manifest

MAX_CHANGES: Final = 3
"""How many changes are named at most; of the others it is said how many there are."""

_SHOWN: Final = 60
_BEFORE_CHANGE: Final = 10


def config_changes(before: JobConfig, now: JobConfig) -> str:
    """Returns what has changed from one configuration to another; empty where nothing has that matters to a run."""
    changes = [
        *_argument_changes(before.args, now.args),
        *_variable_changes(dict(before.env), dict(now.env)),
        *_input_changes(before, now),
    ]
    return _joined(changes)


def input_changes(manifest: Manifest, now: JobConfig) -> str:
    """Returns what has changed in the inputs since a job run, the rest of whose configuration is not known any more."""
    before = JobConfig(
        (),
        tuple(known.ref for known in manifest.inputs if not known.query),
        tuple(known.ref for known in manifest.inputs if known.query),
    )
    changes = _joined(list(_input_changes(before, now)))
    if changes:
        return f"{changes}; the event log has no more of its arguments and variables"
    return "an argument or a variable; the event log has no more of those that it had"


def _joined(changes: Sequence[str]) -> str:
    named = "; ".join(changes[:MAX_CHANGES])
    more = len(changes) - MAX_CHANGES
    return f"{named}; and {more:,} more {'change' if more == 1 else 'changes'}" if more > 0 else named


def _argument_changes(before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """Yields how arguments differ between those that both begin and end with."""
    first = _alike(before, now)
    last = _alike(before[first:][::-1], now[first:][::-1])
    old, new = before[first : len(before) - last], now[first : len(now) - last]
    for number in range(max(len(old), len(new))):
        name = f"argument {first + number + 1}"
        if number >= len(old):
            yield f"{name}, {_shown(new[number])}, was added"
        elif number >= len(new):
            yield f"{name}, {_shown(old[number])}, was removed"
        elif old[number] != new[number]:
            yield f"{name} was {_change(old[number], new[number])}"


def _variable_changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old is None and new is not None:
            yield f"the variable {name}, {_shown(new)}, was added"
        elif new is None and old is not None:
            yield f"the variable {name}, {_shown(old)}, was removed"
        elif old is not None and new is not None and old != new:
            yield f"the variable {name} was {_change(old, new)}"


def _input_changes(before: JobConfig, now: JobConfig) -> Iterator[str]:
    kinds_before, kinds_now = _kinds(before), _kinds(now)
    for ref in sorted(kinds_before.keys() | kinds_now.keys()):
        old, new = kinds_before.get(ref), kinds_now.get(ref)
        if old is None:
            yield f"the {new} input {ref} was added"
        elif new is None:
            yield f"the {old} input {ref} was removed"
        elif old != new:
            yield f"the input {ref} was {old} and is {new}"


def _kinds(config: JobConfig) -> dict[str, str]:
    kinds = dict.fromkeys(config.materialize, "MATERIALIZE")
    for ref in config.query:
        kinds[ref] = "MATERIALIZE and QUERY" if ref in kinds else "QUERY"
    return kinds


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Returns how many elements two sequences have in common at their beginning."""
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return number
    return min(len(one), len(other))


def _change(old: str, new: str) -> str:
    start = 0
    if max(len(old), len(new)) > _SHOWN:
        start = max(0, _alike(old, new) - _BEFORE_CHANGE)
    return f"{_shown(old, start)} and is {_shown(new, start)}"


def _shown(value: str, start: int = 0) -> str:
    """Returns a value in quotes; of a long one a part, and how long it is."""
    part = value[start : start + _SHOWN]
    if part == value:
        return repr(value)
    after = "…" if start + _SHOWN < len(value) else ""
    return f"{'…' if start else ''}{part!r}{after} ({len(value):,} characters)"
