"""The error of an invalid command line, apart from the parsers, so that commands import neither of them."""

from __future__ import annotations

from databuild.errors import InvalidRequestError


class UsageError(InvalidRequestError):
    """An invalid command line.

    Args:
        fault: The fault, as a clause.
        command: The command whose help the message refers to; empty for the overview.
    """

    def __init__(self, fault: str, command: str = "") -> None:
        self.fault = fault
        self.command = command
        super().__init__(f"{fault}; see `{f'help {command}' if command else 'help'}`")
