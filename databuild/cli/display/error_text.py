"""Errors as the command line prints them: the message, and the remedy in terms of flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from databuild.errors import DataBuildError
from databuild.remedies import with_remedy

FLAG_WORDS: Final[Mapping[str, str]] = {
    "BUILD_WITH_FORCE": "`build --force` builds again",
    "ADOPT_WITH_FORCE": "--force would adopt it",
    "RETRY_EVERYTHING": "leave --failed_jobs_only out to request everything again",
    "OTHER_STATE_DIRECTORY": "choose another --state_dir",
    "WRITABLE_STATE_DIRECTORY": "make the state directory writable, or choose another --state_dir",
    "MOVE_EVENT_LOG_AWAY": "move the file away, or choose another --state_dir",
    "OTHER_EVENT_LOG": "choose another event log with --state_dir or --event_log",
    "OTHER_HTTP_PORT": "choose another port with --port",
    "OTHER_GRPC_PORT": "choose another port with --grpc_port",
    "AUTHENTICATE_CALLERS": (
        "require tokens (--token_file) or client certificates (--tls_client_ca), or accept the risk (--insecure_listen)"
    ),
    "ALLOW_HOST": "`serve --allowed_host` adds it",
    "CONFIRM_LOSSES": (
        "bring it back; or use the data as it is with --verify=none; or, if it is lost, record that with "
        "`partitions verify --confirm_losses`"
    ),
    "SEND_TOKEN": "set DATABUILD_TOKEN to one of the tokens of the service",
}


def error_text(error: DataBuildError) -> str:
    return with_remedy(str(error), error.remedy, FLAG_WORDS)
