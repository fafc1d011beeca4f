"""Comparison of a job's configurations: a digest to tell whether they are equal, and text that describes changes."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Final

from databuild.model.job_graph import JobConfig
from databuild.model.pacing import slices, sort
from databuild.model.records import Manifest

MAX_CHANGES: Final = 3
"""Maximum number of changes that are described. The others are counted."""

_MAX_SHOWN_CHARACTERS: Final = 60
_CONTEXT_CHARACTERS: Final = 10
"""Characters shown before the first difference of two long values."""


def configuration_digest(config: JobConfig) -> str:
    """Computes a hash of the arguments (in order), the environment and the inputs (in any order), in hexadecimal.

    Equal digests mean that a job runs in the same way. Takes time in proportion to the inputs; see `digest_in_slices`.
    """
    return configuration_digests((config,))[0]


def configuration_digests(configs: Sequence[JobConfig]) -> list[str]:
    """Computes the digest of each of several configurations; see `configuration_digest`."""
    inputs = "".join(itertools.chain.from_iterable([config.materialize for config in configs]))
    array: Callable[[Sequence[str]], str] = _unescaped_array if _needs_no_escapes(inputs) else _array
    texts = []
    last_args = last_env = None
    head = ""
    for _, materialize, query, args, env, prefixes in configs:
        if args != last_args or env != last_env:  # most jobs have equal ones for all outputs
            head = f"[{_array(args)},{_pairs(env)},"
            last_args, last_env = args, env
        text = head + (array(sorted(materialize)) if materialize else "[]")
        if query or prefixes:
            text += f",{_array(sorted(query))}"
            if prefixes:  # otherwise, digests are those of earlier releases
                text += f",{_array(sorted(prefixes))}"
            texts.append(text + "]")
        else:
            texts.append(text + ",[]]")
    return [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]


def digest_in_slices(config: JobConfig) -> Generator[None, None, str]:
    """Computes `configuration_digest`; yields at least once per slice of work (see `Pace`)."""
    hashed = hashlib.sha256(f"[{_array(config.args)},{_pairs(config.env)}".encode())
    for refs in (config.materialize, config.query):
        yield
        ordered = yield from sort(refs)
        separator = ",["
        for refs_slice in slices(ordered):
            yield
            hashed.update(f"{separator}{_array(refs_slice)[1:-1]}".encode())
            separator = ","
        hashed.update(b"]" if ordered else b",[]")
    if config.query_prefixes:
        hashed.update(f",{_array(sorted(config.query_prefixes))}".encode())
    hashed.update(b"]")
    return hashed.hexdigest()[:32]


def _array(texts: Iterable[str]) -> str:
    """Returns texts as an array in JSON, several times faster than `json` does."""
    return f"[{','.join(map(encode_basestring_ascii, texts))}]"


def _unescaped_array(texts: Sequence[str]) -> str:
    """Returns the same as `_array`, in a third of the time, for some texts without characters to escape."""
    return '["' + '","'.join(texts) + '"]'


def _needs_no_escapes(text: str) -> bool:
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _pairs(env: Iterable[tuple[str, str]]) -> str:
    return f"[{','.join([_array(variable) for variable in sorted(env)])}]" if env else "[]"


def config_changes(before: JobConfig, now: JobConfig) -> str:
    """Describes the changes from one configuration to another; empty if a run would be the same."""
    changes = [
        *_argument_changes(before.args, now.args),
        *_variable_changes(dict(before.env), dict(now.env)),
        *_input_changes(before, now),
    ]
    return _joined(changes)


def input_changes(manifest: Manifest, now: JobConfig) -> str:
    """Describes the changes of inputs since a job run whose arguments and variables have been pruned."""
    before = JobConfig(
        (),
        tuple(version.ref for version in manifest.inputs if not version.query),
        tuple(version.ref for version in manifest.inputs if version.query),
    )
    changes = _joined(list(_input_changes(before, now)))
    if changes:
        return f"{changes}; its earlier arguments and variables are no longer in the event log"
    return "an argument or a variable; the earlier ones are no longer in the event log"


def _joined(changes: Sequence[str]) -> str:
    named = "; ".join(changes[:MAX_CHANGES])
    more = len(changes) - MAX_CHANGES
    return f"{named}; and {more:,} more {'change' if more == 1 else 'changes'}" if more > 0 else named


def _argument_changes(before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """Yields the differences between the longest common prefix and the longest common suffix."""
    first = _common_prefix(before, now)
    last = _common_prefix(before[first:][::-1], now[first:][::-1])
    old, new = before[first : len(before) - last], now[first : len(now) - last]
    for number in range(max(len(old), len(new))):
        name = f"argument {first + number + 1}"
        if number >= len(old):
            yield f"{name}, {_shown(new[number])}, was added"
        elif number >= len(new):
            yield f"{name}, {_shown(old[number])}, was removed"
        elif old[number] != new[number]:
            yield f"{name} was {_change(old[number], new[number])}"


def _variable_changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old is None and new is not None:
            yield f"the variable {name}, {_shown(new)}, was added"
        elif new is None and old is not None:
            yield f"the variable {name}, {_shown(old)}, was removed"
        elif old is not None and new is not None and old != new:
            yield f"the variable {name} was {_change(old, new)}"


def _input_changes(before: JobConfig, now: JobConfig) -> Iterator[str]:
    kinds_before, kinds_now = _kinds(before), _kinds(now)
    for ref in sorted(kinds_before.keys() | kinds_now.keys()):
        old, new = kinds_before.get(ref), kinds_now.get(ref)
        if old is None:
            yield f"the {new} input {ref} was added"
        elif new is None:
            yield f"the {old} input {ref} was removed"
        elif old != new:
            yield f"the input {ref} was {old} and is {new}"


def _kinds(config: JobConfig) -> dict[str, str]:
    kinds = dict.fromkeys(config.materialize, "MATERIALIZE")
    for ref in config.query:
        kinds[ref] = "MATERIALIZE and QUERY" if ref in kinds else "QUERY"
    kinds.update((f"{prefix}{{*}}", "QUERY") for prefix in config.query_prefixes)
    return kinds


def _common_prefix(first: Sequence[str], second: Sequence[str]) -> int:
    """Returns the length of the longest common prefix."""
    for number, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return number
    return min(len(first), len(second))


def _change(old: str, new: str) -> str:
    start = 0
    if max(len(old), len(new)) > _MAX_SHOWN_CHARACTERS:
        start = max(0, _common_prefix(old, new) - _CONTEXT_CHARACTERS)
    return f"{_shown(old, start)} and is {_shown(new, start)}"


def _shown(value: str, start: int = 0) -> str:
    """Quotes a value. A long value is cut, and its length is given."""
    part = value[start : start + _MAX_SHOWN_CHARACTERS]
    if part == value:
        return repr(value)
    after = "…" if start + _MAX_SHOWN_CHARACTERS < len(value) else ""
    return f"{'…' if start else ''}{part!r}{after} ({len(value):,} characters)"
