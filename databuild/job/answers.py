"""Answers of a job's config function: configurations, their checks, and their JSON.

The format is the protobuf JSON of JobConfigureResponse, proto/databuild/v1/job.proto. It is written by hand, since
importing protobuf or `json` would take longer.
"""

# `typing`, `json` and `collections` would each take longer to import than this module takes to run.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

try:
    from _json import encode_basestring_ascii as _encode
except ImportError:  # pragma: no cover - a Python without the C accelerator
    from json.encoder import py_encode_basestring_ascii as _encode

quoted = _encode
"""Returns a text as a JSON string."""

_QUERY = (0, "query")
_MATERIALIZE = (1, "materialize")


class ConfigError(Exception):
    """The answer of a job's config function is invalid."""


class Config:
    """One configuration of the job: the inputs and outputs of one run, and its command line.

    Args:
        outputs: The refs of the partitions that the run produces; at least one.
        materialize: The refs of inputs that are built before the run.
        query: The refs of inputs that are read in their current state. They are recorded, but never built.
        args: The arguments after `exec` on the command line.
        env: Environment variables of the run.
    """

    __slots__ = ("args", "env", "materialize", "outputs", "query")

    def __init__(
        self,
        *,
        outputs: "Iterable[str]",
        materialize: "Iterable[str]" = (),
        query: "Iterable[str]" = (),
        args: "Iterable[str]" = (),
        env: "Mapping[str, str] | None" = None,
    ) -> None:
        self.outputs = _strings("outputs", outputs)
        self.materialize = _strings("materialize", materialize)
        self.query = _strings("query", query)
        self.args = _strings("args", args)
        self.env = dict(env or {})
        for name, value in self.env.items():
            if {type(name), type(value)} != {str}:
                raise ConfigError(f"env has {name!r}: {value!r}; names and values must be strings")
        if not self.outputs:
            raise ConfigError("a Config has no outputs; it must have at least one")

    def __repr__(self) -> str:
        return "Config(" + ", ".join(f"{name}={value!r}" for name, value in self._fields()) + ")"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]

    def _fields(self) -> "list[tuple[str, object]]":
        return [(name, getattr(self, name)) for name in ("outputs", "materialize", "query", "args", "env")]


def ask(config: "Callable[[Sequence[str]], Iterable[Config]]", refs: "Sequence[str]") -> "list[Config]":
    """Calls a job's config function and checks its answer.

    Raises:
        ConfigError: The answer has a value that is not a Config, lacks a ref, or has an output twice.
    """
    answer = config(refs)
    if answer is None:
        raise ConfigError("the config function returned None; return or yield one or more Config")
    configs = list(answer)
    outputs = set()
    for value in configs:
        if not isinstance(value, Config):
            raise ConfigError(f"the config function gave {value!r}, which is a {type(value).__name__}, not a Config")
        for ref in value.outputs:
            if ref in outputs:
                raise ConfigError(f"{ref!r} is an output twice; exactly one Config must have it")
            outputs.add(ref)
    missing = [ref for ref in refs if ref not in outputs]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConfigError(f"no Config has the output {missing[0]!r}{more}; each requested ref needs a Config")
    return configs


def to_json(configs: "Iterable[Config]") -> str:
    """Returns the JSON of a JobConfigureResponse."""
    return '{"configs": [' + ", ".join(map(_config_json, configs)) + "]}"


def _config_json(config: Config) -> str:
    inputs = [_input_json(ref, _MATERIALIZE) for ref in config.materialize]
    inputs += [_input_json(ref, _QUERY) for ref in config.query]
    outputs = ", ".join(f'{{"str": {quoted(ref)}}}' for ref in config.outputs)
    args = ", ".join(map(quoted, config.args))
    env = ", ".join(f"{quoted(name)}: {quoted(value)}" for name, value in config.env.items())
    return f'{{"outputs": [{outputs}], "inputs": [{", ".join(inputs)}], "args": [{args}], "env": {{{env}}}}}'


def _input_json(ref: str, dep_type: "tuple[int, str]") -> str:
    code, name = dep_type
    return f'{{"dep_type_code": {code}, "dep_type_name": "{name}", "partition_ref": {{"str": {quoted(ref)}}}}}'


def _strings(name: str, values: "Iterable[str]") -> "tuple[str, ...]":
    if isinstance(values, str):
        raise ConfigError(f"{name} is the string {values!r}; it must be a list of strings: [{values!r}]")
    strings = tuple(values)
    for value in strings:
        if not isinstance(value, str):
            raise ConfigError(f"{name} has {value!r}, which is a {type(value).__name__}; it must have strings only")
    return strings
