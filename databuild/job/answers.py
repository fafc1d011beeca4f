"""What a job answers when it is configured, checked and written as JSON.

The format is protobuf's JSON of JobConfigureResponse, proto/databuild/v1/job.proto. It is written by hand, since
neither protobuf nor `json` is imported as fast.
"""

# `typing`, `json` and `collections` would each cost a job more time than everything that is done here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

try:
    from _json import encode_basestring_ascii as _quoted
except ImportError:  # pragma: no cover - a Python without the C accelerator
    from json.encoder import py_encode_basestring_ascii as _quoted

_QUERY = (0, "query")
_MATERIALIZE = (1, "materialize")


class ConfigError(Exception):
    """A job's configurations are not an answer to what was asked."""


class Config:
    """One way to run the job: what it will produce, and with what.

    Args:
        outputs: The refs of the partitions that the run completes. At least one.
        materialize: The refs of inputs that the graph builds before the run.
        query: The refs of inputs that are read as they are. They are recorded, never built.
        args: What follows `exec` on the command line.
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
                raise ConfigError(f"env holds {name!r}: {value!r}; names and values have to be strings")
        if not self.outputs:
            raise ConfigError("a Config without outputs: it has to complete at least one partition")

    def __repr__(self) -> str:
        """Shows every field."""
        return "Config(" + ", ".join(f"{name}={value!r}" for name, value in self._fields()) + ")"

    def __eq__(self, other: object) -> bool:
        """Whether every field is equal."""
        return isinstance(other, Config) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]

    def _fields(self) -> "list[tuple[str, object]]":
        return [(name, getattr(self, name)) for name in ("outputs", "materialize", "query", "args", "env")]


def ask(config: "Callable[[Sequence[str]], Iterable[Config]]", refs: "Sequence[str]") -> "list[Config]":
    """Calls a job's config function and checks its answer.

    Raises:
        ConfigError: A ref is nobody's output, or that of two configurations, or something else than a Config came back.
    """
    answer = config(refs)
    if answer is None:
        raise ConfigError("the config function returned None; return or yield one or more Config")
    configs = list(answer)
    known = set()
    for one in configs:
        if not isinstance(one, Config):
            raise ConfigError(f"the config function gave {one!r}, which is a {type(one).__name__}, not a Config")
        for ref in one.outputs:
            if ref in known:
                raise ConfigError(f"{ref!r} is an output twice; one Config has to produce it")
            known.add(ref)
    missing = [ref for ref in refs if ref not in known]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConfigError(f"no Config has the output {missing[0]!r}{more}; every ref that is asked for needs one")
    return configs


def to_json(configs: "Iterable[Config]") -> str:
    """Returns configurations as the JSON of a JobConfigureResponse."""
    return '{"configs": [' + ", ".join(map(_config_json, configs)) + "]}"


def _config_json(config: Config) -> str:
    inputs = [_input_json(ref, _MATERIALIZE) for ref in config.materialize]
    inputs += [_input_json(ref, _QUERY) for ref in config.query]
    outputs = ", ".join(f'{{"str": {_quoted(ref)}}}' for ref in config.outputs)
    args = ", ".join(map(_quoted, config.args))
    env = ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in config.env.items())
    return f'{{"outputs": [{outputs}], "inputs": [{", ".join(inputs)}], "args": [{args}], "env": {{{env}}}}}'


def _input_json(ref: str, dep_type: "tuple[int, str]") -> str:
    code, name = dep_type
    return f'{{"dep_type_code": {code}, "dep_type_name": "{name}", "partition_ref": {{"str": {_quoted(ref)}}}}}'


def _strings(name: str, values: "Iterable[str]") -> "tuple[str, ...]":
    if isinstance(values, str):
        raise ConfigError(f"{name} is the string {values!r}; a list of strings is needed: [{values!r}]")
    strings = tuple(values)
    for value in strings:
        if not isinstance(value, str):
            raise ConfigError(f"{name} holds {value!r}, which is a {type(value).__name__}; strings are needed")
    return strings
