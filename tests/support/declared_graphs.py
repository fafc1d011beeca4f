"""Graphs of declared jobs in memory, and facts about small ones, found by enumerating every ref."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from databuild.errors import InvalidPatternError
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration, DeclaredJob
from databuild.graph.declared.templates import Template
from databuild.graph.field_types import FIELD_TYPES


def declared(
    name: str,
    output: str | Sequence[str],
    *inputs: str,
    optional: Sequence[str] = (),
    bounds: Mapping[str, str] | None = None,
) -> Job:
    """Returns a declared job with the label `//:NAME`."""
    outputs = (output,) if isinstance(output, str) else tuple(output)
    declaration = Declaration(inputs=inputs, optional_inputs=tuple(optional), bounds=bounds or {})
    return Job(label=f"//:{name}", executable=name, outputs=outputs, declaration=declaration)


def configured(name: str, output: str) -> Job:
    """Returns a job with `config`, and the label `//:NAME`."""
    return Job(label=f"//:{name}", executable=name, outputs=(output,))


def graph(*jobs: Job, lookup: str = "") -> JobCatalog:
    catalog = JobCatalog(graph_label="//:graph", jobs={job.label: job for job in jobs}, lookup=lookup)
    catalog.check()
    return catalog


Node = tuple[str, tuple[tuple[str, str], ...]]
"""The label of a job, and the fields of one of its refs."""


class Enumeration:
    """All facts about a graph of declared jobs whose fields have both bounds.

    Attributes:
        missing: The label and the template of each input that nothing produces for some ref.
        inputs: The inputs of each ref, by the fields of both.
    """

    def __init__(self, catalog: JobCatalog) -> None:
        self._jobs = catalog.declared
        self.missing: set[tuple[str, str]] = set()
        self.inputs: dict[Node, list[Node]] = {}
        for job in self._jobs.values():
            for fields in all_fields(job):
                node = job.label, tuple(sorted(fields.items()))
                self.inputs[node] = [
                    target for template in templates(job) for target in self._find(job, template, fields)
                ]

    def _find(self, job: DeclaredJob, template: Template, fields: Mapping[str, str]) -> Iterator[Node]:
        for ref in template.values(fields):
            nodes = [
                (other.label, tuple(sorted(matched.items())))
                for other in self._jobs.values()
                if (matched := other.fields_of(ref)) is not None
            ]
            if not nodes and template in job.inputs:
                self.missing.add((job.label, template.text))
            yield from nodes

    def has_cycle(self) -> bool:
        is_done: dict[Node, bool] = {}
        for root in self.inputs:
            stack = [] if root in is_done else [(root, iter(self.inputs[root]))]
            is_done.setdefault(root, False)
            while stack:
                for node in stack[-1][1]:
                    if node not in is_done:
                        is_done[node] = False
                        stack.append((node, iter(self.inputs[node])))
                        break
                    if not is_done[node]:
                        return True
                else:
                    is_done[stack.pop()[0]] = True
        return False


def templates(job: DeclaredJob) -> Sequence[Template]:
    return (*job.inputs, *job.optional_inputs)


def all_fields(job: DeclaredJob) -> Iterator[Mapping[str, str]]:
    """Yields the fields of every ref of a job whose fields all have both bounds."""
    columns = []
    for name, kind in job.fields.items():
        counting, bounds = FIELD_TYPES[kind].counting, job.outputs[0].bounds[name]
        assert counting is not None
        assert bounds.first is not None
        assert bounds.last is not None
        columns.append(counting.values(bounds.first, bounds.last))
    for values in itertools.product(*columns):
        yield dict(zip(job.fields, values, strict=True))


def needs(catalog: JobCatalog, output: str, needed: str) -> bool:
    """Returns True if a ref of a declared job needs another ref."""
    for job in catalog.declared.values():
        fields = job.fields_of(output)
        if fields is not None:
            return any(needed in values(template, fields) for template in templates(job))
    return False


def values(template: Template, fields: Mapping[str, str]) -> Sequence[str]:
    """Returns the values of a template; none if they leave the years 1 to 9999."""
    try:
        return template.values(fields)
    except InvalidPatternError:
        return ()
