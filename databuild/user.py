"""The name of the user at this machine. Imports next to nothing, since commands that only read must start fast."""

from __future__ import annotations

import os
from collections.abc import Mapping


def user_name(environ: Mapping[str, str]) -> str:
    """Returns the user that `USER` or `LOGNAME` names, else the owner of the process.

    Args:
        environ: The environment variables.
    """
    named = environ.get("USER") or environ.get("LOGNAME")
    if named:
        return named
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
