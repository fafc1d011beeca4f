"""The task description of a job under test, TaskDescription of proto/databuild/v1/job.proto as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?::(/(?:[^/\\]|\\.)*/|\w+))?\}", re.ASCII)

_TYPES: Mapping[str, str] = {
    "date": r"\d{4}-\d{2}-\d{2}",
    "hour": r"\d{4}-\d{2}-\d{2}T\d{2}",
    "int": r"-?\d+",
    "minute": r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}",
    "month": r"\d{4}-\d{2}",
    "quarter": r"\d{4}-Q[1-4]",
    "str": r"[^/\s]+",
    "week": r"\d{4}-W\d{2}",
    "year": r"\d{4}",
}
"""A regular expression for each type of a field. A build checks the values as well, such as the days of a month."""


@dataclass(frozen=True, kw_only=True)
class GivenInput:
    """An input of a job under test.

    Attributes:
        ref: The ref.
        metadata: The metadata that its producer reported.
        kind: How the job uses it.
        version: Its version.
        available: False for a QUERY input that does not exist.
    """

    ref: str
    metadata: Mapping[str, object] = field(default_factory=dict)
    kind: Literal["MATERIALIZE", "QUERY"] = "MATERIALIZE"
    version: str = "test"
    available: bool = True


def task_json(
    outputs: Sequence[str],
    inputs: Iterable[GivenInput],
    patterns: Sequence[str],
    history: Sequence[Mapping[str, float]] | None = None,
) -> str:
    """Returns the JSON of a task description.

    Args:
        outputs: The refs of the outputs.
        inputs: The inputs.
        patterns: The patterns that give refs their fields; the first that matches counts.
        history: The numbers of the partitions before each output, newest first; None for a job without `history`.

    Raises:
        ValueError: A pattern has an unknown type.
    """
    compiled = [_compiled(pattern) for pattern in patterns]
    known = {} if history is None else {"history": [{"numbers": dict(numbers)} for numbers in history]}
    described = {
        "outputs": [{"ref": ref, **_fields(ref, compiled), **known} for ref in outputs],
        "inputs": [
            {
                "ref": given.ref,
                **_fields(given.ref, compiled),
                "kind": given.kind,
                "version": given.version,
                "available": given.available,
                "metadata": dict(given.metadata),
            }
            for given in inputs
        ],
    }
    return json.dumps(described)


def _compiled(pattern: str) -> tuple[re.Pattern[str], Mapping[str, str]]:
    types = {}
    regex = ""
    position = 0
    for match in _FIELD.finditer(pattern):
        name, kind = match[1], match[2] or "str"
        is_regex = kind.startswith("/")
        if not is_regex and kind not in _TYPES:
            raise ValueError(f"the pattern {pattern!r} has the type {kind!r}; types are {', '.join(_TYPES)} or /regex/")
        types[name] = "str" if is_regex else kind
        regex += f"{re.escape(pattern[position : match.start()])}(?P<{name}>{kind[1:-1] if is_regex else _TYPES[kind]})"
        position = match.end()
    return re.compile(regex + re.escape(pattern[position:]), re.ASCII), types


def _fields(
    ref: str, patterns: Iterable[tuple[re.Pattern[str], Mapping[str, str]]]
) -> Mapping[str, Mapping[str, str | None]]:
    for regex, types in patterns:
        match = regex.fullmatch(ref)
        if match is not None:
            return {"fields": match.groupdict(), "field_types": types}
    return {}
