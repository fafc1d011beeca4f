"""Names of environments, which are parts of paths, of URIs and of schemas in a database."""

from __future__ import annotations

import re
from typing import Final

from databuild.errors import InvalidRequestError

MAX_NAME: Final = 40
"""Maximum number of characters in the name of an environment."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


def check_environment(name: str) -> None:
    """Checks the name of an environment.

    Raises:
        InvalidRequestError: It is not valid.
    """
    if _NAME.fullmatch(name) is None:
        message = (
            f"{name[:80]!r} is not a valid name of an environment: use up to {MAX_NAME} lower-case letters, digits, "
            "dots, dashes and underscores, and begin with a letter or digit, such as `pr-12`"
        )
        raise InvalidRequestError(message)


def refuse_removal(environment: str) -> None:
    """Checks that data is removed from the base, and not from an environment, which may use files of the base.

    Args:
        environment: The environment; empty for the base.

    Raises:
        InvalidRequestError: It is not empty.
    """
    if environment:
        raise InvalidRequestError(
            "data of single partitions is not removed in an environment; "
            f"`environments remove {environment}` removes it as a whole"
        )
