"""Who is at the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databuild.cli.invocation import Invocation


def author(call: Invocation) -> str:
    """Returns who is at the command line: as the environment says, or else the user that the process runs as."""
    named = call.environ.get("USER") or call.environ.get("LOGNAME")
    if named:
        return named
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
