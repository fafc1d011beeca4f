"""The partitions of a job run, as its task description has them. Imported only when a job reads it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


class Partition:
    """An output of a job run.

    Attributes:
        ref: The ref.
        fields: The values of the fields of its pattern, by name.
        field_texts: The same as texts, as they stand in the ref.
        metadata: What the producer of an input reported about it; empty for an output.

    Args:
        described: A TaskOutput or TaskInput (job.proto) as parsed JSON.
    """

    __slots__ = ("field_texts", "fields", "metadata", "ref")

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.ref: str = described["ref"]
        self.field_texts: Mapping[str, str] = described.get("fields", {})
        self.fields = Fields(self.ref, self.field_texts, described.get("field_types", {}))
        self.metadata = Metadata(self.ref, described.get("metadata", {}))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ref!r})"


class Input(Partition):
    """An input of a job run.

    Attributes:
        kind: `MATERIALIZE` or `QUERY`.
        version: The version that the build records for this run; empty if it knows none.
        available: True if the partition is available. Only a QUERY input may be unavailable.
    """

    __slots__ = ("available", "kind", "version")

    def __init__(self, described: Mapping[str, Any]) -> None:
        super().__init__(described)
        self.kind: str = described.get("kind", "QUERY")
        self.version: str = described.get("version", "")
        self.available: bool = described.get("available", False)


class Fields(Mapping[str, Any]):
    """The values of fields, by name, also as attributes: `fields.date` is `fields["date"]`.

    A `date` is a `datetime.date`, and a `week`, `month` or `quarter` is the `datetime.date` of its first day. An `hour`
    or a `minute` is a `datetime.datetime` without a time zone, a `year` or an `int` is an `int`, and all others are a
    `str`. A field with the name of a method of mappings, such as `keys`, is not an attribute.
    """

    __slots__ = ("_ref", "_texts", "_types")

    def __init__(self, ref: str, texts: Mapping[str, str], types: Mapping[str, str]) -> None:
        self._ref = ref
        self._texts = texts
        self._types = types

    def __getitem__(self, name: str) -> Any:
        text = self._texts.get(name)
        if text is None:
            raise KeyError(self._fault(name))
        convert = _VALUES.get(self._types.get(name, ""))
        return text if convert is None else convert(text)

    def __getattr__(self, name: str) -> Any:
        if name in Fields.__slots__ or name not in self._texts:
            raise AttributeError(name if name in Fields.__slots__ else self._fault(name))
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __repr__(self) -> str:
        return f"Fields({dict(self)!r})"

    def _fault(self, name: str) -> str:
        if self._texts:
            return f"{self._ref!r} has no field {name!r}; its fields are {', '.join(self._texts)}"
        return (
            f"{self._ref!r} has no field {name!r}: no pattern of the graph matches it, and fields are those of patterns"
        )


class Metadata(dict[str, Any]):
    """The metadata of a partition. An entry that is absent is an error that names those that are there."""

    __slots__ = ("_ref",)

    def __init__(self, ref: str, reported: Mapping[str, Any]) -> None:
        super().__init__(reported)
        self._ref = ref

    def __missing__(self, name: str) -> Any:
        known = f"; it has {', '.join(self)}" if self else "; its producer has reported none"
        raise KeyError(f"{self._ref!r} has no metadata {name!r}{known}")


class Task:
    """The outputs and inputs of one job run, from its task description.

    Args:
        described: A TaskDescription (job.proto) as parsed JSON.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.outputs: Sequence[Partition] = tuple(map(Partition, described.get("outputs", ())))
        self.inputs: Sequence[Input] = tuple(map(Input, described.get("inputs", ())))


def _first_day_of_quarter(text: str) -> dt.date:
    year, _, quarter = text.partition("-Q")
    return dt.date(int(year), 3 * int(quarter) - 2, 1)


_VALUES: Mapping[str, Callable[[str], Any]] = {
    "date": dt.date.fromisoformat,
    "hour": dt.datetime.fromisoformat,
    "int": int,
    "minute": dt.datetime.fromisoformat,
    "month": lambda text: dt.date.fromisoformat(f"{text}-01"),
    "quarter": _first_day_of_quarter,
    "week": lambda text: dt.date.fromisoformat(f"{text}-1"),
    "year": int,
}
"""The function that turns the text of a field into its value, by the type of the field."""
