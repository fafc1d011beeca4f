"""Hints at the command, or the form of a command, that a misspelt word probably means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from databuild.cli.flags.command_table import COMMANDS, COMMANDS_BY_NAME

_WORD = r"[A-Za-z_-]+"


def near_form(command: str, word: str) -> str:
    """Returns a hint at the form of a command with the most similar name, such as "did you mean `events verify`?".

    Args:
        command: The command.
        word: The word that is no name of a form.

    Returns:
        The hint; empty if no name is similar, or the word is not one, such as the beginning of a ref with a slash.
    """
    if not word.isalpha():
        return ""
    import difflib

    nearest = difflib.get_close_matches(word.lower(), dict.fromkeys(_form_names(command)), n=1)
    return f"did you mean `{command} {nearest[0]}`?" if nearest else ""


def near_command(word: str) -> str:
    """Returns a hint at the command, or the form of a command, that is most similar to a word.

    Returns:
        The hint, such as "did you mean `partitions forget`?"; empty if none is similar, or the text is not one word.
    """
    if not re.fullmatch(_WORD, word):
        return ""
    import difflib

    meant = {name: [name] for name in COMMANDS_BY_NAME}
    for command in COMMANDS:
        for name in dict.fromkeys(_form_names(command.name)):
            if name not in COMMANDS_BY_NAME:
                meant.setdefault(name, []).append(f"{command.name} {name}")
    nearest = difflib.get_close_matches(word.lower().replace("-", "_"), meant, n=1, cutoff=0.7)
    return f"did you mean {' or '.join(f'`{line}`' for line in meant[nearest[0]])}?" if nearest else ""


def _form_names(command: str) -> Sequence[str]:
    """Returns the first words of the forms of a command that are names, such as `adopt`."""
    first_words = [form.usage.split()[0].strip("[]") for form in COMMANDS_BY_NAME[command].forms]
    return [word for word in first_words if word.isalpha() and word.islower()]
