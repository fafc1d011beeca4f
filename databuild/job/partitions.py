"""The partitions of a job run, as its task description has them. Imported only when a job reads it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

TYPE_CHECKING = False  # `typing` takes longer to import than a short description to read
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Literal


class Partition:
    """An output of a job run.

    Args:
        described: A TaskOutput or TaskInput (job.proto) as parsed JSON.

    Attributes:
        ref: The ref.
    """

    __slots__ = ("_described", "ref")

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.ref: str = described["ref"]
        self._described = described

    # Properties, since a run may have tens of thousands of partitions and look at few of their parts.
    @property
    def fields(self) -> Fields:
        """The values of the fields of its pattern, by name."""
        return Fields(self.ref, self.field_texts, self._described.get("field_types", {}))

    @property
    def field_texts(self) -> Mapping[str, str]:
        """The fields as texts, as they stand in the ref, by name."""
        texts: Mapping[str, str] = self._described.get("fields", {})
        return texts

    @property
    def metadata(self) -> Metadata:
        """The metadata that the producer of an input reported; empty for an output."""
        return Metadata(self.ref, self._described.get("metadata", {}))

    def earlier(self, name: str) -> Sequence[float]:
        """Returns a number of the partitions with earlier dates, newest first: a metric or a number in their metadata.

        Raises:
            ValueError: The job does not ask for earlier partitions.
        """
        if "history" not in self._described:
            raise ValueError(
                "the run does not know earlier partitions; add history = 30 to the databuild_job, or pass history to "
                "JobUnderTest.execute in a test"
            )
        return [one["numbers"][name] for one in self._described["history"] if name in one.get("numbers", {})]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ref!r})"


class Input(Partition):
    """An input of a job run."""

    __slots__ = ()

    @property
    def kind(self) -> Literal["MATERIALIZE", "QUERY"]:
        """`MATERIALIZE` if the build produces the input, `QUERY` if it is read as it is."""
        return "MATERIALIZE" if self._described.get("kind") == "MATERIALIZE" else "QUERY"

    @property
    def version(self) -> str:
        """The version that the build records for this run; empty if it knows none."""
        return str(self._described.get("version", ""))

    @property
    def uri(self) -> str:
        """The URI of its data, as its producer reported it; empty if it reported none."""
        return str(self._described.get("location", {}).get("uri", ""))

    @property
    def available(self) -> bool:
        """True if the partition is available. Only a QUERY input may be unavailable."""
        return bool(self._described.get("available", False))


class Fields(Mapping[str, "Any"]):
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


class Metadata(dict[str, "Any"]):
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
        self._uris: Mapping[str, str] | None = None

    @property
    def uris(self) -> Mapping[str, str]:
        """The URI of each input, by ref."""
        if self._uris is None:
            self._uris = {used.ref: used.uri for used in self.inputs}
        return self._uris


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
