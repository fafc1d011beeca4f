"""Parser of the answers of jobs: a JobConfigureResponse (job.proto) as protobuf JSON, or as the message of a worker.

Written for speed: a plan of 100,000 partitions reads as many configurations, and google.protobuf.json_format takes
many times as long. A test compares the results of both parsers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from databuild.errors import InvalidRequestError, JobConfigurationError
from databuild.graph.refs import check_ref
from databuild.model.job_graph import JobConfig

if TYPE_CHECKING:
    from databuild.v1.job_pb2 import DataDep, JobConfigureResponse
    from databuild.v1.job_pb2 import JobConfig as JobConfigMessage

_MAX_SHOWN_BYTES = 200
_QUERY, _MATERIALIZE = 0, 1
_PLAIN_REF = re.compile(r"[!-,.-~][!-~]{0,255}").fullmatch
_DEP_TYPES = {"QUERY": _QUERY, "MATERIALIZE": _MATERIALIZE, "0": _QUERY, "1": _MATERIALIZE}


def parse_configure_response(
    printed: bytes, *, job_label: str, refs: Sequence[str] = (), cancelled: Callable[[], bool] | None = None
) -> list[JobConfig]:
    """Parses the configurations that a job answered.

    Args:
        printed: The stdout of the job.
        job_label: The label of the job, for errors.
        refs: The refs that the job was asked for, for errors.
        cancelled: Called once per JSON object; returns True to stop parsing. For use in a thread.

    Raises:
        JobConfigurationError: The output is not a JobConfigureResponse, or parsing was cancelled.
    """

    # The C parser of the json module holds the GIL from beginning to end. A call of Python code for each object lets
    # other threads, such as that of the event loop, run meanwhile.
    def check_cancelled(value: dict[str, Any]) -> dict[str, Any]:
        if cancelled is not None and cancelled():
            raise JobConfigurationError(job_label, "the request for its configurations was cancelled", refs=refs)
        return value

    def fault(message: str) -> JobConfigurationError:
        return JobConfigurationError(job_label, message, refs=refs)

    try:
        text = printed.decode()
        response = json.loads(text, object_hook=check_cancelled if cancelled is not None else None)
    except (ValueError, RecursionError) as error:
        shown = printed[:_MAX_SHOWN_BYTES].decode(errors="replace")
        what = f"it printed {shown!r}" if shown.strip() else "it printed nothing"
        raise fault(f"{what}, which is not a JobConfigureResponse in JSON ({error})") from error
    if not isinstance(response, dict):
        raise fault(f"it printed a JSON {type(response).__name__}; an object with `configs` is required")
    _check_fields(response, {"configs"}, "the answer", fault)
    configs = response.get("configs") or []
    if not isinstance(configs, list):
        raise fault("`configs` is not a list")
    answer = [_config(config, number, fault) for number, config in enumerate(configs)]
    # Only an escape can produce a null character or a lone surrogate: JSON text and UTF-8 allow neither.
    if "\\u" in text:
        for number, config in enumerate(answer):
            _check_process_texts(config, f"configs[{number}]", fault)
    return answer


def configs_of_response(
    response: JobConfigureResponse,
    *,
    job_label: str,
    refs: Sequence[str] = (),
    cancelled: Callable[[], bool] | None = None,
) -> list[JobConfig]:
    """Checks and converts the answer of a worker, as `parse_configure_response` does with printed ones."""

    def fault(message: str) -> JobConfigurationError:
        return JobConfigurationError(job_label, message, refs=refs)

    answer = []
    for number, config in enumerate(response.configs):
        if cancelled is not None and cancelled():
            raise fault("the request for its configurations was cancelled")
        if (plain := _plain_config(config)) is not None:
            answer.append(plain)
            continue
        where = f"configs[{number}]"
        converted = _config(
            {
                "outputs": [{"str": output.str} for output in config.outputs],
                "inputs": [_dep_fields(dep) for dep in config.inputs],
                "args": list(config.args),
                "env": dict(config.env),
            },
            number,
            fault,
        )
        _check_process_texts(converted, where, fault)
        answer.append(converted)
    return answer


def _plain_config(message: JobConfigMessage) -> JobConfig | None:
    """Converts a configuration of the usual form; returns None for any other, which may be invalid."""
    outputs = [output.str for output in message.outputs]
    materialize = []
    for dep in message.inputs:
        if dep.dep_type_code != _MATERIALIZE or dep.dep_type_name:
            return None
        materialize.append(dep.partition_ref.str)
    args = tuple(message.args)
    if not outputs or message.env or "\0" in "".join(args) or not all(map(_PLAIN_REF, (*outputs, *materialize))):
        return None
    return JobConfig(tuple(dict.fromkeys(outputs)), tuple(dict.fromkeys(materialize)), args=args)


def _dep_fields(dep: DataDep) -> dict[str, Any]:
    """Returns an input as JSON has it."""
    fields: dict[str, Any] = {"partition_ref": {"str": dep.partition_ref.str}}
    if dep.dep_type_name:
        fields["dep_type_name"] = dep.dep_type_name
    if dep.dep_type_code or not dep.dep_type_name:
        # An unset code is 0, which is that of QUERY. It does not contradict a name.
        fields["dep_type_code"] = "MATERIALIZE" if dep.dep_type_code == _MATERIALIZE else dep.dep_type_code
    return fields


_CONFIG_FIELDS = frozenset({"outputs", "inputs", "args", "env"})
_DEP_FIELDS = frozenset(
    {"dep_type_code", "depTypeCode", "dep_type_name", "depTypeName", "partition_ref", "partitionRef"}
)


def _config(config: Any, number: int, fault: Callable[[str], JobConfigurationError]) -> JobConfig:
    where = f"configs[{number}]"
    if not isinstance(config, dict):
        raise fault(f"{where} is not an object")
    if not _CONFIG_FIELDS.issuperset(config):
        _check_fields(config, _CONFIG_FIELDS, where, fault)
    outputs = config.get("outputs") or []
    if not isinstance(outputs, list) or not outputs:
        raise fault(f"{where}.outputs needs at least one partition")
    materialize: list[str] = []
    query: list[str] = []
    inputs = config.get("inputs") or []
    if not isinstance(inputs, list):
        raise fault(f"{where}.inputs is not a list")
    for dep in inputs:
        # A fast path without function calls for the usual form of an input; any other form is parsed below.
        try:
            ref = dep["partition_ref"]["str"]
            plain = type(ref) is str and len(dep) == 2 and len(dep["partition_ref"]) == 1
            if plain and _PLAIN_REF(ref) is not None and dep["dep_type_code"] == "MATERIALIZE":
                materialize.append(ref)
                continue
        except (TypeError, KeyError):
            pass
        ref, dep_type = _dep(dep, where, fault)
        (materialize if dep_type == _MATERIALIZE else query).append(ref)
    args = config.get("args") or []
    if not isinstance(args, list) or (args and not all(isinstance(arg, str) for arg in args)):
        raise fault(f"{where}.args is not a list of strings")
    env = config.get("env") or {}
    if not isinstance(env, dict) or (env and not all(isinstance(value, str) for value in env.values())):
        raise fault(f"{where}.env is not an object of strings")
    for name in env:
        if not name or "=" in name:
            raise fault(f"{where}.env: {name!r} is not a valid name of an environment variable")
    return JobConfig(
        tuple(dict.fromkeys([_ref(output, f"{where}.outputs", fault) for output in outputs])),
        tuple(dict.fromkeys(materialize)) if materialize else (),
        tuple(dict.fromkeys(query)) if query else (),
        tuple(args),
        tuple(sorted(env.items())) if env else (),
    )


def _dep(dep: Any, where: str, fault: Callable[[str], JobConfigurationError]) -> tuple[str, int]:
    """Returns the ref and the dep type of an input, in any form that protobuf JSON allows."""
    if not isinstance(dep, dict):
        raise fault(f"{where}.inputs has an element that is not an object")
    if not _DEP_FIELDS.issuperset(dep):
        _check_fields(dep, _DEP_FIELDS, f"{where}.inputs", fault)
    ref = _ref(dep.get("partition_ref") or dep.get("partitionRef"), f"{where}.inputs", fault)
    return ref, _dep_type(dep, where, fault)


def _ref(value: Any, where: str, fault: Callable[[str], JobConfigurationError]) -> str:
    if isinstance(value, dict) and len(value) == 1:
        ref = value.get("str")
        if isinstance(ref, str) and ref:
            if _PLAIN_REF(ref) is None:
                try:
                    check_ref(ref)
                except InvalidRequestError as error:
                    raise fault(f"{where}: {error}") from None
            return ref
    raise fault(
        f"{where}: {json.dumps(value)[:_MAX_SHOWN_BYTES]} is not a partition ref such as "
        '{"str": "daily/date=2013-01-01"}'
    )


def _check_process_texts(config: JobConfig, where: str, fault: Callable[[str], JobConfigurationError]) -> None:
    """Checks for null characters and lone surrogates, which JSON allows and `execve` does not."""
    for text in (*config.args, *(part for variable in config.env for part in variable)):
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise fault(f"{where}: a process cannot have {text[:_MAX_SHOWN_BYTES]!r} in its args or env")


def _dep_type(dep: dict[str, Any], where: str, fault: Callable[[str], JobConfigurationError]) -> int:
    code = dep.get("dep_type_code", dep.get("depTypeCode"))
    name = dep.get("dep_type_name", dep.get("depTypeName"))
    types = []
    if code is not None:
        types.append(_DEP_TYPES.get(str(code)))
    if name:
        types.append(_DEP_TYPES.get(name.upper()) if isinstance(name, str) else None)
    if None in types:
        raise fault(
            f"{where}.inputs: the dep type {code if code is not None else name!r} is neither QUERY nor MATERIALIZE"
        )
    if len(set(types)) > 1:
        raise fault(f"{where}.inputs: dep_type_code is {code!r}, but dep_type_name is {name!r}")
    return types[0] or _QUERY if types else _QUERY


def _check_fields(
    value: dict[str, Any], fields: frozenset[str] | set[str], where: str, fault: Callable[[str], JobConfigurationError]
) -> None:
    unknown = sorted(set(value) - fields)
    if unknown:
        raise fault(f"{where} has the unknown field {unknown[0]!r}; the fields are {', '.join(sorted(fields))}")
