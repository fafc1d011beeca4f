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
}


def error_text(error: DataBuildError) -> str:
    return with_remedy(str(error), error.remedy, FLAG_WORDS)
