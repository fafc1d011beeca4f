"""`partitions adopt`: makes partitions available whose data was not built here.

`partitions adopt REF...` records existing data, and `partitions adopt --from=STATE_DIR [PATTERN...]` copies the records
of another state directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.local_adoption import copy_records
from databuild.cli.backend.requested_partitions import expand
from databuild.cli.backend.state_directories import EVENT_LOG
from databuild.cli.display.formats import counted
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.usage_error import UsageError
from databuild.errors import InvalidRequestError
from databuild.event_log.open import open_reader
from databuild.graph.patterns import PartitionPattern
from databuild.orchestration.maintenance.adoption import AdoptionCounts, record_pages
from databuild.user import user_name


def run(call: Invocation) -> int:
    texts = call.positionals[1:]
    author = call.flags["author"].strip()
    reason = call.flags["reason"].strip()
    if call.flags["from"] is not None:
        return _take_over(call, texts, author or user_name(call.environ), reason)
    if not texts:
        message = "partitions adopt takes at least one REF; `partitions adopt/` lists refs that begin with adopt/"
        raise UsageError(message, call.command)
    if not reason:
        message = "partitions adopt needs --reason=TEXT, which records where the data comes from"
        raise UsageError(message, call.command)
    adoption = call.backend().adopt(texts, author=author, reason=reason, force=call.flags["force"])
    if call.json:
        facts = {"operation_id": adoption.operation_id, "author": adoption.author, "reason": reason}
        call.out.json({"partitions": adoption.partitions, "version": adoption.version, **facts})
    else:
        call.out.line(f"adopted {counted(len(adoption.partitions), 'partition')}; builds use them as they are")
    return BUILT


def _take_over(call: Invocation, texts: list[str], author: str, reason: str) -> int:
    folder = _source_folder(call)
    reason = reason or f"taken over from {folder}"
    selects = _selector(call, texts)
    source = open_reader(f"sqlite:{folder / EVENT_LOG}")
    try:
        if not any(record_pages(source, selects)):  # before the event log is opened for writing, and created
            selected = f" that matches {', '.join(texts)}" if texts else ""
            message = f"{folder} has no partition{selected}; `partitions --state_dir={folder}` lists its partitions"
            raise InvalidRequestError(message)
        result = copy_records(call, source, selects, author=author, reason=reason)
    finally:
        source.close()
    if call.json:
        call.out.json({"from": str(folder), "author": author, "reason": reason, **result._asdict()})
    else:
        _print_counts(call, result, folder)
    return BUILT


def _source_folder(call: Invocation) -> Path:
    """Returns the state directory that --from names.

    Raises:
        InvalidRequestError: The folder is not a state directory, or is the one of this command.
    """
    value = call.flags["from"]
    folder = Path(call.path(value))
    if not (folder / EVENT_LOG).is_file():
        message = (
            f"--from={value} is not a state directory: {folder} has no {EVENT_LOG}; name one, such as .databuild/GRAPH"
        )
        raise InvalidRequestError(message)
    scheme, _, path = call.event_log_uri.partition(":")
    # By inode: symbolic links give one folder several paths.
    if scheme == "sqlite" and os.path.exists(path) and (folder / EVENT_LOG).samefile(path):  # noqa: PTH110
        raise InvalidRequestError(f"--from={value} is the state directory of this command; name another one")
    if scheme == "memory":
        raise InvalidRequestError("--event_log=memory: loses the copied records when this command ends; leave it out")
    return folder


def _selector(call: Invocation, texts: list[str]) -> Callable[[str], bool]:
    """Returns a function that selects the refs which texts name. Without texts, it selects every ref.

    Args:
        call: The invocation.
        texts: Partition patterns with fields, refs and ranges of refs.

    Raises:
        InvalidRequestError: A text is invalid.
    """
    if not texts:
        return lambda _: True
    patterns = [PartitionPattern(text) for text in texts if "{" in text]
    refs = frozenset(expand(call, [text for text in texts if "{" not in text]))
    return lambda ref: ref in refs or any(pattern.match(ref) is not None for pattern in patterns)


def _print_counts(call: Invocation, result: AdoptionCounts, folder: Path) -> None:
    call.out.line(f"took over {counted(result.adopted, 'partition')} from {folder}; builds treat them as if built here")
    for number, reason in (
        (result.already_available, "available here, or claimed by a build: --force takes them over as well"),
        (result.not_available, "not available there, or tainted there"),
        (result.not_produced, "produced by no job of this graph"),
    ):
        if number:
            call.out.line(f"  left out {counted(number, 'partition')} {reason}")
