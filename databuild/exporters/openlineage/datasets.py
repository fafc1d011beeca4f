"""Partitions as datasets.

A dataset is all partitions of one pattern, and is named by the pattern, so it is the same for jobs that read it and
jobs that make it, whether its data exists or not. A run has the subset of the partitions that it reads or makes, with
the fields of the pattern as dimensions. The place of the data is a symlink of the dataset.

https://openlineage.io/docs/spec/naming has the names of places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from databuild.exporters.openlineage.facets import (
    Json,
    encoded,
    encoded_object,
    encoded_text,
    encoded_values,
    facet,
    opened_facet,
    readable,
    with_values,
)
from databuild.exporters.registry import RefPattern
from databuild.model.metadata import schema_of
from databuild.tuples import EMPTY, NamedTuple
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

    from databuild.v1.events_pb2 import PartitionEvent

MAX_PARTITIONS: Final = 10_000
"""The maximum number of partitions of one subset. A run with more partitions of a dataset has no subset of it."""

_MAX_REMEMBERED: Final = 10_000
"""The maximum number of refs, and of datasets, about which texts are remembered."""

SEVERITIES: Final[Mapping[int, str]] = {
    pt.CheckResult.SEVERITY_INFO: "info",
    pt.CheckResult.SEVERITY_WARNING: "warn",
    pt.CheckResult.SEVERITY_ERROR: "error",
}
"""The severities of checks in the words of OpenLineage."""

_ROWS: Final = ("rows", "row_count")
"""The names of numbers that are row counts."""

_OUTPUT_SUBSET: Final = opened_facet("OutputSubsetOutputDatasetFacet", "outputCondition")
_VERSION: Final = opened_facet("DatasetVersionDatasetFacet", "datasetVersion")

_OBJECT_STORES: Final = frozenset({"gs", "s3"})


class _Partition(NamedTuple):
    """A partition as a part of its dataset.

    Attributes:
        ref: The partition.
        pattern: Its pattern; None if no pattern of the graph matches.
        dataset: The name of the dataset.
        part: The partition in a subset, as JSON; empty if the dataset has no others.
    """

    ref: str
    pattern: RefPattern | None
    dataset: str
    part: Json


class _Group:
    """Partitions of one dataset."""

    __slots__ = ("_name", "partitions")

    def __init__(self, name: Json, partitions: list[_Partition]) -> None:
        self._name = name
        self.partitions = partitions

    def as_input(self, **facets: Json) -> Json:
        if subset := self._subset():
            facets["subset"] = facet("InputSubsetInputDatasetFacet", f'{{"inputCondition":{subset}}}')
        return f'{{{self._name},"inputFacets":{encoded_object(facets)}}}'

    def as_output(self, facets: Json = "", statistics: Json = "") -> Json:
        """Returns the dataset of an output.

        Args:
            facets: Its facets, as members of an object.
            statistics: The facet with its counts; empty for none.
        """
        output_facets = f'"outputStatistics":{statistics}' if statistics else ""
        if subset := self._subset():
            separator = "," if output_facets else ""
            output_facets += f'{separator}"subset":{_OUTPUT_SUBSET}{subset}}}'
        return f'{{{self._name},"facets":{{{facets}}},"outputFacets":{{{output_facets}}}}}'

    def _subset(self) -> Json:
        """Returns the partitions as a condition; empty if the dataset has no others, or if they are too many."""
        count = len(self.partitions)
        if count == 1:
            parts = self.partitions[0].part
        elif count <= MAX_PARTITIONS:
            parts = ",".join([partition.part for partition in self.partitions if partition.part])
        else:
            return ""
        return f'{{"type":"partition","partitions":[{parts}]}}' if parts else ""


class Datasets:
    """Makes the datasets of runs, as arrays in JSON."""

    def __init__(self, namespace: str, pattern_of: Callable[[str], RefPattern | None]) -> None:
        """Makes nothing yet.

        Args:
            namespace: The namespace of jobs and datasets in the base.
            pattern_of: Returns the pattern of a ref, as in `ExporterOptions`.
        """
        self._namespace = namespace
        self._pattern_of = pattern_of
        self._partitions: dict[str, _Partition] = {}
        self._names: dict[tuple[str, str], Json] = {}

    def namespace(self, environment: str) -> str:
        """Returns the namespace of an environment; an empty text is the base."""
        return f"{self._namespace}/{environment}" if environment else self._namespace

    def inputs(self, refs: Iterable[tuple[str, str]]) -> Json:
        """Returns the datasets of inputs, each a ref with the environment that has made it."""
        return _array([group.as_input() for group in self._groups(refs)])

    def planned(self, environment: str, refs: Sequence[str]) -> Json:
        """Returns the datasets of outputs that a run is about to make."""
        return _array([group.as_output() for group in self._groups([(ref, environment) for ref in refs])])

    def made(self, environment: str, events: Mapping[str, PartitionEvent], metrics: Sequence[pt.Metric]) -> Json:
        """Returns the datasets of outputs that a run has made.

        Args:
            environment: The environment of the run.
            events: The event of each partition that is available, by ref.
            metrics: The metrics of the run.
        """
        rows = {metric.ref: metric.value for metric in metrics if metric.ref and metric.name in _ROWS}
        outputs = []
        for group in self._groups([(ref, environment) for ref in events]):
            own = [events[partition.ref] for partition in group.partitions]
            facets = statistics = ""
            if len(own) == 1:
                facets = f'"version":{_VERSION}{encoded_text(own[0].version)}}}'
            if rows or any(event.HasField("metadata") or event.HasField("location") for event in own):
                statistics = _statistics(own, rows)
                facets = ",".join(filter(None, (facets, encoded_object(_reported(group, own))[1:-1])))
            outputs.append(group.as_output(facets, statistics))
        return _array(outputs)

    def checked(self, environment: str, results: Sequence[pt.CheckResult]) -> Json:
        """Returns the datasets that were checked, with the results."""
        by_ref: dict[str, list[pt.CheckResult]] = {}
        for result in results:
            by_ref.setdefault(result.ref, []).append(result)
        inputs = []
        for group in self._groups([(ref, environment) for ref in by_ref]):
            assertions = [_assertion(result) for partition in group.partitions for result in by_ref[partition.ref]]
            quality = facet("DataQualityAssertionsDatasetFacet", f'{{"assertions":{_array(assertions)}}}')
            inputs.append(group.as_input(dataQualityAssertions=quality))
        return _array(inputs)

    def _groups(self, refs: Iterable[tuple[str, str]]) -> Iterable[_Group]:
        groups: dict[tuple[str, str], list[_Partition]] = {}
        for ref, environment in refs:
            partition = self._partitions.get(ref) or self._match(ref)
            key = environment, partition.dataset
            if key in groups:
                groups[key].append(partition)
            else:
                groups[key] = [partition]
        return [_Group(self._names.get(key) or self._name_of(key), partitions) for key, partitions in groups.items()]

    def _name_of(self, key: tuple[str, str]) -> Json:
        if len(self._names) >= _MAX_REMEMBERED:
            self._names.clear()
        environment, name = key
        text = f'"namespace":{encoded_text(self.namespace(environment))},"name":{encoded_text(name)}'
        self._names[key] = text
        return text

    def _match(self, ref: str) -> _Partition:
        """Returns a partition, and remembers it: most refs occur several times."""
        if len(self._partitions) >= _MAX_REMEMBERED:
            self._partitions.clear()
        pattern = self._pattern_of(ref)
        part = ""
        if pattern is not None and pattern.fields:
            part = f'{{"identifier":{encoded_text(ref)},"dimensions":{_dimensions(pattern.fields)}}}'
        partition = _Partition(ref, pattern, ref if pattern is None else pattern.text, part)
        self._partitions[ref] = partition
        return partition


def _array(items: Iterable[Json]) -> Json:
    return f"[{','.join(items)}]"


def _dimensions(fields: Mapping[str, str]) -> Json:
    return "{" + ",".join([f"{encoded_text(name)}:{encoded_text(text)}" for name, text in fields.items()]) + "}"


def _statistics(events: Sequence[PartitionEvent], rows: Mapping[str, float]) -> Json:
    """Returns the facet with counts; empty if all are unknown."""
    counts = with_values({"rowCount": _rows(events, rows), "size": _size(events)})
    return facet("OutputStatisticsOutputDatasetFacet", encoded(counts)) if counts else ""


def _reported(group: _Group, events: Sequence[PartitionEvent]) -> Mapping[str, Json]:
    """Returns the facets of a dataset that follow from what a job has reported about its partitions."""
    facets = {}
    if columns := _columns(events):
        facets["schema"] = facet("SchemaDatasetFacet", encoded({"fields": columns}))
    if place := _place(group, events):
        facets["symlinks"] = facet("SymlinksDatasetFacet", encoded({"identifiers": [place]}))
    return facets


def _columns(events: Sequence[PartitionEvent]) -> list[Mapping[str, Any]]:
    """Returns the columns that the last of some partitions with a schema has."""
    for event in reversed(events):
        if not event.HasField("metadata"):
            continue
        for name, value in sorted(event.metadata.fields.items()):
            if value.HasField("struct_value") and (columns := schema_of({name: _as_dict(value.struct_value)})):
                return [
                    {"name": column, "type": kind, "ordinal_position": number}
                    for number, (column, kind) in enumerate(columns.items(), 1)
                ]
    return []


def _as_dict(value: Struct) -> dict[str, Any]:
    from google.protobuf import json_format  # takes 3 ms to import, and most data has no schema

    return json_format.MessageToDict(value)


def _rows(events: Sequence[PartitionEvent], measured: Mapping[str, float]) -> int | None:
    """Returns the number of rows of partitions: metrics, or numbers in metadata; None if one is unknown."""
    total = 0.0
    for event in events:
        fields = event.metadata.fields if event.HasField("metadata") else EMPTY
        reported = (
            fields[name].number_value for name in _ROWS if name in fields and fields[name].HasField("number_value")
        )
        count = measured.get(event.ref, next(reported, None))
        if count is None:
            return None
        total += count
    return int(total) if math.isfinite(total) else None


def _size(events: Sequence[PartitionEvent]) -> int | None:
    """Returns the bytes of partitions; None if one is unknown."""
    if not all(event.location.HasField("size_bytes") for event in events):
        return None
    return sum(event.location.size_bytes for event in events)


def _assertion(result: pt.CheckResult) -> Json:
    return encoded_values(
        {
            "assertion": result.name,
            "name": result.name,
            "success": result.passed,
            "severity": SEVERITIES.get(result.severity),
            "description": readable(result.message) or None,
            "params": {"partition": result.ref},
        }
    )


def _place(group: _Group, events: Sequence[PartitionEvent]) -> Mapping[str, str] | None:
    """Returns the place of a dataset; None if its partitions do not tell it for certain."""
    places = {
        _place_of(partition.ref, partition.pattern, event.location.uri)
        for partition, event in zip(group.partitions, events, strict=True)
    }
    if len(places) != 1 or (place := places.pop()) is None:
        return None
    namespace, name = place
    return {"namespace": namespace, "name": name, "type": "LOCATION"}


def _place_of(ref: str, pattern: RefPattern | None, uri: str) -> tuple[str, str] | None:
    """Returns the namespace and the name of the place of a dataset, from the place of one of its partitions."""
    if not uri:
        return None
    try:
        parts = urlsplit(uri)
    except ValueError:  # a bracket without the other one
        return None
    if parts.scheme == "file":
        namespace, path = f"file://{parts.netloc}" if parts.netloc else "file", unquote(parts.path)
    elif parts.scheme in _OBJECT_STORES:
        namespace, path = f"{parts.scheme}://{parts.netloc}", parts.path.removeprefix("/")
    else:
        return None
    if pattern is None or not pattern.fields:
        return namespace, path
    # Below the root, data has the path of its ref. Then a folder with all partitions of the pattern, and with nothing
    # else, is the place of the dataset.
    root, found, rest = f"/{path}".rpartition(f"/{ref}")
    if not pattern.folder or not found or rest[:1] not in {"", "/", "."}:
        return None
    return namespace, f"{root}/{pattern.folder}"[1:]
