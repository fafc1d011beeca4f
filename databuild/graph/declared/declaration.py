"""Declared jobs: the configuration of each partition, from templates over the fields of the job's outputs.

No process is started: the templates yield what the `config` of another job would answer.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Final, TypeVar

from databuild.errors import InvalidPatternError, JobConfigurationError
from databuild.graph.declared.templates import Template, parse_template
from databuild.graph.patterns import PartitionPattern
from databuild.model.job_graph import JobConfig
from databuild.tuples import NamedTuple

ANY_VALUE: Final = "{*}"
"""Ends a QUERY input that stands for every available partition whose ref has one more segment, or part of one, here."""

_FEW: Final = 4
"""Up to so many refs are matched faster one by one."""

T = TypeVar("T")


class Declaration(NamedTuple):
    """The attributes of a declared job, as the author wrote them.

    Attributes:
        inputs: Templates of the inputs, which the graph builds.
        optional_inputs: Templates of inputs that the graph builds where a job produces them.
        query_inputs: Templates of inputs that are read as they are.
        args: Templates of the arguments.
        env: Templates of environment variables, sorted by name.
        bounds: The bounds of fields, by field.
        batch_size: The maximum number of outputs of one task; 0 for no maximum if `batch_by` is set, else for 1.
        batch_by: A template; outputs of one task have an equal value of it. Empty if it does not matter.
    """

    inputs: tuple[str, ...] = ()
    optional_inputs: tuple[str, ...] = ()
    query_inputs: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    bounds: Mapping[str, str] = {}
    batch_size: int = 0
    batch_by: str = ""

    @property
    def is_batched(self) -> bool:
        """True if a task may have the outputs of several configurations."""
        return self.batch_size > 1 or (self.batch_size == 0 and self.batch_by != "")


class DeclaredJob:
    """A declared job with its templates read.

    Attributes:
        label: The label of the job.
        outputs: The patterns of its outputs. All have the same fields; a configuration has one output of each.
        fields: The type of each field, by name.
        inputs: The templates of the inputs.
        optional_inputs: The templates of the optional inputs.
        query_inputs: The templates of the QUERY inputs that name partitions.
        query_prefixes: The templates of the QUERY inputs that end in `{*}`, without it.
        declaration: The attributes as written.
    """

    def __init__(self, label: str, outputs: Sequence[PartitionPattern], declaration: Declaration) -> None:
        """Reads the templates.

        Raises:
            InvalidPatternError: One of them is invalid, or the outputs have different fields.
        """
        self.label = label
        self.outputs = tuple(outputs)
        self.declaration = declaration
        self.fields = fields = self._common_fields(outputs)
        names = [text for text in declaration.query_inputs if not text.endswith(ANY_VALUE)]
        prefixes = [text.removesuffix(ANY_VALUE) for text in declaration.query_inputs if text.endswith(ANY_VALUE)]
        self.inputs = tuple(parse_template(text, fields) for text in declaration.inputs)
        self.optional_inputs = tuple(parse_template(text, fields) for text in declaration.optional_inputs)
        self.query_inputs = tuple(parse_template(text, fields) for text in names)
        self.query_prefixes = tuple(parse_template(text, fields) for text in prefixes)
        templates = (*self.inputs, *self.optional_inputs)
        self._inputs_may_repeat = len(templates) > 1 or any(template.combines for template in templates)
        self._args = tuple(parse_template(text, fields, lists=False, formats=True) for text in declaration.args)
        self._env = tuple(
            (name, parse_template(text, fields, lists=False, formats=True)) for name, text in declaration.env
        )
        self._batch_by = parse_template(declaration.batch_by, fields, lists=False, formats=True)
        if declaration.is_batched:
            self._check_texts_of_batches()

    @staticmethod
    def _common_fields(outputs: Sequence[PartitionPattern]) -> Mapping[str, str]:
        first = outputs[0] if outputs else PartitionPattern("-")
        for other in outputs[1:]:
            if other.fields != first.fields:
                fault = f"its fields differ from those of {first.text!r}; all outputs of a declared job have the same"
                raise InvalidPatternError(other.text, fault)
        return first.fields

    def _check_texts_of_batches(self) -> None:
        """Checks that arguments and variables use only what is equal for all outputs of a task."""
        stems = [expression.text[1:-1].partition(":")[0] for expression in self._batch_by.expressions]
        continued = [re.compile(re.escape(stem) + r"(?:[.+-].*)?", re.DOTALL) for stem in stems]
        for template in (*self._args, *(template for _, template in self._env)):
            for expression in template.expressions:
                stem = expression.text[1:-1].partition(":")[0]
                if not any(pattern.fullmatch(stem) for pattern in continued):
                    equal = " or ".join(f"{{{stem}}}" for stem in stems) or "no field"
                    fault = (
                        f"it may differ between the outputs of one task, since the job has `batch_size` or `batch_by`; "
                        f"`args` and `env` may use what begins with {equal}, and the task description has the rest"
                    )
                    raise InvalidPatternError(expression.text, fault)

    def fields_of(self, ref: str) -> Mapping[str, str] | None:
        """Returns the text of each field of an output; None if no pattern matches the ref."""
        for pattern in self.outputs:
            if (fields := pattern.match(ref)) is not None:
                return fields
        return None

    def _columns(self, refs: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Mapping[str, Sequence[str]]:
        """Returns the texts of each field, by name, for outputs."""
        if len(self.outputs) == 1 and len(refs) > _FEW:
            if len(rows) < len(refs):
                rows = self.outputs[0].match_many(refs)
            if len(rows) == len(refs):
                return dict(zip(self.fields, list(zip(*rows, strict=True))[1:], strict=True))
        divided = [self.fields_of(ref) or {} for ref in refs]
        return {name: [fields[name] for fields in divided] for name in self.fields}

    def config(self, ref: str, produces: Callable[[str], bool]) -> JobConfig:
        """Returns the configuration that produces one output; see `configs`.

        Args:
            ref: The output.
            produces: Returns True if a job of the graph produces a ref.

        Raises:
            JobConfigurationError: A template yields no valid value.
        """
        return self.configs((ref,), lambda refs: {ref for ref in refs if not produces(ref)})[0]

    def configs(
        self,
        refs: Sequence[str],
        unproduced: Callable[[Iterable[str]], Set[str]],
        rows: Sequence[tuple[str, ...]] = (),
    ) -> list[JobConfig]:
        """Returns the configurations that produce outputs, before they are put into batches.

        Args:
            refs: The outputs; a pattern of the job must match each of them.
            unproduced: Returns those of given refs that no job of the graph produces.
            rows: The rows of `PartitionPattern.match_many` for the refs, if they are known; fewer are disregarded.

        Raises:
            JobConfigurationError: A template yields no valid value for at least one of the outputs.
        """
        count = len(refs)
        no_refs: list[tuple[str, ...]] = [()] * count
        columns = self._columns(refs, rows)
        try:
            inputs = _refs(self.inputs, columns, count) if self.inputs else no_refs
            if self.optional_inputs:
                optional = _refs(self.optional_inputs, columns, count)
                if missing := unproduced(itertools.chain.from_iterable(optional)):
                    optional = [
                        row if missing.isdisjoint(row) else tuple([ref for ref in row if ref not in missing])
                        for row in optional
                    ]
                inputs = [row + more for row, more in zip(inputs, optional, strict=True)] if self.inputs else optional
            if self._inputs_may_repeat:
                inputs = _distinct(inputs)
            outputs = [pattern.refs(columns, count) for pattern in self.outputs] if len(self.outputs) > 1 else [refs]
            env = [zip(itertools.repeat(name), template.value_of(columns, count)) for name, template in self._env]
            values = zip(
                zip(*outputs, strict=True),
                inputs,
                _distinct(_refs(self.query_inputs, columns, count)) if self.query_inputs else no_refs,
                _rows([template.value_of(columns, count) for template in self._args], count),
                _rows(env, count),
                _distinct(_refs(self.query_prefixes, columns, count)) if self.query_prefixes else no_refs,
                strict=True,
            )
            return list(map(_new_config, values))
        except InvalidPatternError as error:
            raise JobConfigurationError(self.label, str(error), refs=refs) from None

    def batch_key(self, ref: str) -> str:
        """Returns the value of `batch_by` for an output."""
        fields = self.fields_of(ref)
        assert fields is not None, ref
        return self._batch_by.value(fields)


# Like `JobConfig._make`, without a check of the length.
_new_config: Callable[[Iterable[object]], JobConfig] = functools.partial(tuple.__new__, JobConfig)


def _refs(templates: Sequence[Template], columns: Mapping[str, Sequence[str]], count: int) -> list[tuple[str, ...]]:
    """Returns what templates yield for each of several refs."""
    first, *others = [template.values_of(columns, count) for template in templates]
    return [tuple(itertools.chain(*row)) for row in zip(first, *others, strict=True)] if others else first


def _distinct(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Returns the distinct texts of each row."""
    return [tuple(dict.fromkeys(row)) if len(row) > 1 else row for row in rows]


def _rows(columns: Sequence[Iterable[T]], count: int) -> Iterable[tuple[T, ...]]:
    """Returns the rows of columns of equal length; empty rows without columns."""
    return zip(*columns, strict=True) if columns else itertools.repeat((), count)
