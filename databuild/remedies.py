"""Remedies of errors: the next step after an error, by name.

Each edge words a remedy in its own terms: the command line by flags, a service and its client by fields of requests.
The names pass between processes, so they are never renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Remedy = Literal[
    "BUILD_WITH_FORCE",
    "ADOPT_WITH_FORCE",
    "RETRY_EVERYTHING",
    "OTHER_STATE_DIRECTORY",
    "WRITABLE_STATE_DIRECTORY",
    "MOVE_EVENT_LOG_AWAY",
    "OTHER_EVENT_LOG",
    "OTHER_HTTP_PORT",
    "OTHER_GRPC_PORT",
    "AUTHENTICATE_CALLERS",
    "ALLOW_HOST",
    "CONFIRM_LOSSES",
    "SEND_TOKEN",
]

REQUEST_WORDS: Final[Mapping[str, str]] = {
    "BUILD_WITH_FORCE": "a build with `force` builds again",
    "ADOPT_WITH_FORCE": "`force` would adopt it",
    "RETRY_EVERYTHING": "leave `failed_jobs_only` out to ask for everything again",
    "OTHER_STATE_DIRECTORY": "the service needs another state directory",
    "WRITABLE_STATE_DIRECTORY": "the service needs a state directory that it may write",
    "MOVE_EVENT_LOG_AWAY": "the file has to be moved away, or the service needs another state directory",
    "OTHER_EVENT_LOG": "the service would need another event log",
    "OTHER_HTTP_PORT": "the service needs another port for HTTP",
    "OTHER_GRPC_PORT": "the service needs another port for gRPC",
    "AUTHENTICATE_CALLERS": "the service needs tokens or client certificates",
    "ALLOW_HOST": "the service has to be started with this host among the allowed ones",
    "CONFIRM_LOSSES": (
        "a build with `verify` NONE uses the data as it is; if it is lost, a verification of partitions with "
        "`confirm_losses` records that"
    ),
    "SEND_TOKEN": "send one of the tokens of the service as `Authorization: Bearer TOKEN`",
}
"""The wording of each remedy for callers of a service, by fields of their requests."""


def with_remedy(message: str, remedy: str | None, words: Mapping[str, str]) -> str:
    """Returns a message with the wording of its remedy, if there is one.

    Args:
        message: The message of an error.
        remedy: Its remedy; an unknown one (of a newer service) adds nothing.
        words: The wording of each remedy.
    """
    step = words.get(remedy or "")
    return f"{message}; {step}" if step else message
