"""The texts of `help`, from the tables of commands, flags and exit codes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from databuild.cli.flags.command_table import COMMANDS, Command
from databuild.cli.flags.exit_codes import MEANINGS
from databuild.cli.flags.flag_table import BOOL, ENUM, Flag, flags_of

_WIDTH: Final = 100

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Event log and logs of jobs": ("state_dir", "event_log", "event_sink", "log_store"),
    "Service": ("server", "tls_ca", "tls_cert", "tls_key"),
    "Engine that runs the jobs, and connections": (
        "executor",
        "remote_header",
        "credential_helper",
        "tls_certificate",
        "tls_client_certificate",
        "tls_client_key",
    ),
    "Reports, notifications and exporters": (
        "report",
        "junit_xml",
        "notify",
        "notify_on",
        "notify_template",
        "exporter",
        "bes_header",
        "bes_results_url",
        "exporter_seconds",
        "exporter_failure",
    ),
}
"""The flags under headings of their own, which follow all others."""


def overview(launcher: str) -> str:
    """Lists all commands.

    Args:
        launcher: The beginning of each command line, such as `bazel run //:graph --`.
    """
    shown = [command for command in COMMANDS if not command.hidden]
    width = max(len(command.name) for command in shown)
    lines = [
        "DataBuild builds partitions of data, and everything that they need, with the jobs of a graph.",
        "",
        f"usage: {launcher} [COMMAND] [flags] [PARTITION...]",
        "",
        "Commands:",
        *(f"  {command.name:<{width}}  {command.summary}" for command in shown),
        "",
        "Examples:",
        f"  {launcher}    # builds the default partitions of the graph",
        *(f"  {launcher} {command.example}" for command in COMMANDS if command.name in {"build", "plan", "explain"}),
        "",
        f"`{launcher} help COMMAND` explains a command and its flags.",
        "",
        "Exit codes:",
        *(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items()),
    ]
    return "\n".join(lines) + "\n"


def command_help(command: Command, launcher: str) -> str:
    arguments = "..." if command.forms else command.usage
    usage = " ".join(part for part in (launcher, command.name, "[flags]", arguments) if part)
    lines = [command.summary, "", f"usage: {usage}"]
    if command.aliases:
        lines.append(f"alias: {', '.join(command.aliases)}")
    if command.details:
        lines += ["", *textwrap.wrap(command.details, _WIDTH)]
    if command.forms:
        lines += ["", "Forms:"]
        for form in command.forms:
            lines += [f"  {command.name} {form.usage}", *_indented(form.text)]
    for heading, flags in _by_heading(flags_of(command.name)).items():
        lines += ["", f"{heading}:"]
        for flag in flags:
            lines += [f"  {_spelling(flag)}", *_indented(flag.help + _default(flag))]
    lines += ["", "Example:", f"  {launcher} {command.example}"]
    return "\n".join(lines) + "\n"


def _indented(text: str) -> Sequence[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _by_heading(flags: Sequence[Flag]) -> Mapping[str, Sequence[Flag]]:
    """Returns flags by heading; each heading has some."""
    grouped = {name for names in GROUPS.values() for name in names}
    by_heading = {"Flags (dashes and underscores in names are equivalent)": [f for f in flags if f.name not in grouped]}
    for heading, names in GROUPS.items():
        by_heading[heading] = [flag for flag in flags if flag.name in names]
    return {heading: members for heading, members in by_heading.items() if members}


def _spelling(flag: Flag) -> str:
    short = f", -{flag.short}" if flag.short else ""
    if flag.kind == BOOL:
        return f"--[no]{flag.name}{short}"
    value = "|".join(flag.values) if flag.kind == ENUM else flag.value_name or flag.kind.upper()
    return f"--{flag.name}={value}{short}"


def _default(flag: Flag) -> str:
    return "" if flag.default in {None, "", (), False} else f" Default: {flag.default}."
