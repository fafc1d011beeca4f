"""Edges between the jobs of a catalog: which jobs can produce what the templates of declared inputs yield.

Two jobs have an edge if a ref exists that a template of one may yield and a pattern of the other matches. Bounds, and
the equality of values that come from one field, are disregarded. So an edge may be drawn that no build ever takes, but
none is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from databuild.graph.catalog import JobCatalog
from databuild.graph.declared.declaration import ANY_VALUE, DeclaredJob
from databuild.graph.declared.expressions import Expression
from databuild.graph.declared.template_patterns import PatternsByPrefix, template_pattern
from databuild.graph.declared.templates import Template
from databuild.graph.field_types import FIELD_TYPES
from databuild.graph.overlap import shortest_common_ref
from databuild.graph.patterns import PartitionPattern
from databuild.model.graph_view import INPUT, OPTIONAL, QUERY, RECORDED, GraphEdge, GraphJob, GraphView
from databuild.tuples import NamedTuple


class DeclaredInput(NamedTuple):
    """One template of a job's inputs; `any_value` is true if `{*}` follows it."""

    template: Template
    kind: str
    any_value: bool = False

    @property
    def text(self) -> str:
        return self.template.text + (ANY_VALUE if self.any_value else "")

    @property
    def mapping(self) -> str:
        expressions = [expression.text for expression in self.template.expressions]
        return ", ".join([*expressions, *([ANY_VALUE] if self.any_value else [])]) or self.text


def graph_view(catalog: JobCatalog) -> GraphView:
    """Returns the jobs of a catalog and their declared inputs. Reads no records and starts no process."""
    jobs = sorted(catalog.jobs.items())
    return GraphView(
        catalog.graph_label,
        tuple(GraphJob(label, job.outputs, job.declaration is not None) for label, job in jobs),
        declared_edges(catalog),
    )


def declared_edges(catalog: JobCatalog) -> tuple[GraphEdge, ...]:
    """Returns the edges of declared inputs, by job and in the order of its attributes."""
    producers = _Producers(catalog)
    return tuple(
        edge
        for label, job in sorted(catalog.declared.items())
        for declared_input in declared_inputs(job)
        for edge in _edges(label, declared_input, producers)
    )


def recorded_edges(catalog: JobCatalog, job_label: str, inputs: Iterable[str]) -> tuple[GraphEdge, ...]:
    """Returns an edge for each job that produces one of the recorded inputs of a job. Ignores refs without producer."""
    upstream = {label for ref in inputs for label in catalog.owners(ref)}
    return tuple(GraphEdge(label, "", job_label, RECORDED) for label in sorted(upstream))


def declared_inputs(job: DeclaredJob) -> Iterator[DeclaredInput]:
    for templates, kind in ((job.inputs, INPUT), (job.optional_inputs, OPTIONAL), (job.query_inputs, QUERY)):
        for template in templates:
            yield DeclaredInput(template, kind)
    for template in job.query_prefixes:
        yield DeclaredInput(template, QUERY, any_value=True)


def _edges(label: str, declared_input: DeclaredInput, producers: _Producers) -> Iterator[GraphEdge]:
    upstream = producers.of(template_pattern(declared_input.template, any_value=declared_input.any_value).pattern)
    text, mapping = declared_input.text, declared_input.mapping
    for producer in upstream:
        yield GraphEdge(producer, "", label, declared_input.kind, text, mapping)
    if not upstream:
        yield GraphEdge("", _external_name(declared_input), label, declared_input.kind, text, mapping)


class _Producers:
    """Finds the jobs whose patterns share a ref with another pattern."""

    def __init__(self, catalog: JobCatalog) -> None:
        self._patterns = PatternsByPrefix(catalog.patterns)
        self._cache: dict[str, tuple[str, ...]] = {}

    def of(self, wanted: PartitionPattern) -> tuple[str, ...]:
        """Returns the labels of the producers, sorted."""
        found = self._cache.get(wanted.text)
        if found is None:
            labels = {label for pattern, label in self._patterns.candidates(wanted.prefix) if _overlap(pattern, wanted)}
            found = self._cache[wanted.text] = tuple(sorted(labels))
        return found


def _overlap(first: PartitionPattern, second: PartitionPattern) -> bool:
    if first.is_disjoint(second):
        return False
    # Mostly, both are literals around fields of the same types, so that they share an example.
    example = second.example()
    if first.match(example) is not None and second.match(example) is not None:
        return True
    return shortest_common_ref(first, second) is not None


def _external_name(declared_input: DeclaredInput) -> str:
    """Returns the refs of an input as a pattern: equal for inputs that differ in the values of typed fields only."""
    parts: Sequence[str | Expression] = declared_input.template.parts
    texts = [part if isinstance(part, str) else f"{{{_field_name(part)}}}" for part in parts]
    return "".join(texts) + (ANY_VALUE if declared_input.any_value else "")


def _field_name(expression: Expression) -> str:
    counted = expression.kind in FIELD_TYPES and FIELD_TYPES[expression.kind].of_calendar
    return expression.kind if counted else expression.field
