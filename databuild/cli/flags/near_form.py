"""Hints at the form of a command that a misspelt word probably means."""

from __future__ import annotations

from databuild.cli.flags.command_table import COMMANDS_BY_NAME


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

    first_words = [form.usage.split()[0].strip("[]") for form in COMMANDS_BY_NAME[command].forms]
    names = dict.fromkeys(name for name in first_words if name.isalpha() and name.islower())
    nearest = difflib.get_close_matches(word.lower(), names, n=1)
    return f"did you mean `{command} {nearest[0]}`?" if nearest else ""
