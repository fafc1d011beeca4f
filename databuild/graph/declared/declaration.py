"""Declared jobs: the configuration of each partition, from templates over the fields of the job's outputs.

No process is started: the templates yield what the `config` of another job would answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from databuild.errors import InvalidPatternError, JobConfigurationError
from databuild.graph.declared.templates import Template, parse_template
from databuild.graph.patterns import PartitionPattern
from databuild.model.job_graph import JobConfig

ANY_VALUE: Final = "{*}"
"""Ends a QUERY input that stands for every available partition whose ref has one more segment, or part of one, here."""


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

    def config(self, ref: str, produces: Callable[[str], bool]) -> JobConfig:
        """Returns the configuration that produces an output, before it is put into a batch.

        Args:
            ref: The output; a pattern of the job must match it.
            produces: Returns True if a job of the graph produces a ref.

        Raises:
            JobConfigurationError: A template yields no valid value.
        """
        fields = self.fields_of(ref)
        assert fields is not None, ref
        try:
            inputs = _refs(self.inputs, fields)
            if self.optional_inputs:
                inputs += [needed for needed in _refs(self.optional_inputs, fields) if produces(needed)]
            return JobConfig(
                (ref,) if len(self.outputs) == 1 else tuple(pattern.ref(fields) for pattern in self.outputs),
                tuple(dict.fromkeys(inputs)) if len(inputs) > 1 else tuple(inputs),
                tuple(dict.fromkeys(_refs(self.query_inputs, fields))) if self.query_inputs else (),
                tuple([template.value(fields) for template in self._args]),
                tuple([(name, template.value(fields)) for name, template in self._env]) if self._env else (),
                tuple(dict.fromkeys(_refs(self.query_prefixes, fields))) if self.query_prefixes else (),
            )
        except InvalidPatternError as error:
            raise JobConfigurationError(self.label, str(error), refs=(ref,)) from None

    def batch_key(self, ref: str) -> str:
        """Returns the value of `batch_by` for an output."""
        fields = self.fields_of(ref)
        assert fields is not None, ref
        return self._batch_by.value(fields)


def _refs(templates: Sequence[Template], fields: Mapping[str, str]) -> list[str]:
    return [ref for template in templates for ref in template.values(fields)]
