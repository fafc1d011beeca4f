"""The name of the user on this machine. Imports little, since commands that only read must start fast."""

from __future__ import annotations

import os
from collections.abc import Mapping


def user_name(environ: Mapping[str, str]) -> str:
    """Returns the value of `USER` or `LOGNAME`, or else the name of the owner of the process."""
    name = environ.get("USER") or environ.get("LOGNAME")
    if name:
        return name
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, the user id may have no entry in the user database
        return f"user {os.getuid()}"
