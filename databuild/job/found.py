"""Answers of a job's check function: the data that exists, the checks of the answer, and its JSON.

The format is the protobuf JSON of JobCheckResponse, proto/databuild/v1/job.proto.
"""

from databuild.job.answers import ConfigError, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from databuild.job.program import CheckFunction


class CheckError(ConfigError):
    """The answer of a job's check function is invalid."""


class Found:
    """Facts about data that exists. A change is noticed if they differ from those of the reported location.

    Args:
        size: The size in bytes; None if it is unknown.
        version: The version that the store gives to the data; empty if it is unknown.
    """

    __slots__ = ("size", "version")

    def __init__(self, size: int | None = None, version: str = "") -> None:
        if size is not None and (type(size) is not int or size < 0):
            raise CheckError(f"the size {size!r} of a Found is no number of bytes")
        if not isinstance(version, str):
            raise CheckError(f"the version {version!r} of a Found is a {type(version).__name__}; it must be a string")
        self.size = size
        self.version = version

    def __repr__(self) -> str:
        return f"Found(size={self.size!r}, version={self.version!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Found) and (self.size, self.version) == (other.size, other.version)

    __hash__ = None  # type: ignore[assignment]


def ask(check: "CheckFunction", refs: "Sequence[str]") -> "dict[str, Found | Exception]":
    """Calls a job's check function and checks its answer.

    Returns:
        The facts about the data that exists, by ref, or the reason why it cannot be read.

    Raises:
        CheckError: The answer is neither a mapping nor a list of refs, or has a ref that was not asked for.
    """
    answer = check(refs)
    if answer is None or isinstance(answer, str):  # type: ignore[redundant-expr]
        raise CheckError(f"the check function gave {answer!r}; it must return or yield the refs whose data exists")
    asked = frozenset(refs)
    found: dict[str, Found | Exception] = {}
    for ref, given in _entries(answer):
        if ref not in asked:
            raise CheckError(f"the check function answered about {ref!r}, which was not asked for")
        value = Found() if given is None else given
        if not isinstance(value, Found | Exception):
            raise CheckError(f"the check function gave {value!r} for {ref!r}; it must be a Found, an exception or None")
        found[ref] = value
    return found


def to_json(found: "Mapping[str, Found | Exception]") -> str:
    """Returns the JSON of a JobCheckResponse."""
    exists = [f"{quoted(ref)}: {_facts(one)}" for ref, one in found.items() if isinstance(one, Found)]
    unreadable = [f"{quoted(ref)}: {quoted(_reason(one))}" for ref, one in found.items() if isinstance(one, Exception)]
    more = f', "unreadable": {{{", ".join(unreadable)}}}' if unreadable else ""
    return f'{{"found": {{{", ".join(exists)}}}{more}}}'


def _entries(
    answer: "Iterable[str] | Mapping[str, Found | Exception | None]",
) -> "Iterable[tuple[str, Found | Exception | None]]":
    if hasattr(answer, "items"):
        return answer.items()  # type: ignore[no-any-return]
    return ((ref, None) for ref in answer)


def _facts(found: Found) -> str:
    facts = [] if found.size is None else [f'"size_bytes": {found.size}']
    if found.version:
        facts.append(f'"version": {quoted(found.version)}')
    return f"{{{', '.join(facts)}}}"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
