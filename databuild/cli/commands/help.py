"""`help [COMMAND]`: lists all commands, or explains one."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import launcher_command
from databuild.cli.flags import help_text
from databuild.cli.flags.command_table import COMMANDS_BY_NAME
from databuild.cli.flags.exit_codes import BUILT
from databuild.errors import InvalidCatalogError, InvalidRequestError


def run(call: Invocation) -> int:
    """Prints help."""
    try:
        launcher = launcher_command(call.graph_label)
    except InvalidCatalogError:  # help must work even then
        launcher = launcher_command("//your:graph")
    if not call.positionals:
        call.out.write(help_text.overview(launcher))
        return BUILT
    command = COMMANDS_BY_NAME.get(call.positionals[0])
    if command is None:
        raise InvalidRequestError(f"there is no command {call.positionals[0]!r}; `help` lists them")
    call.out.write(help_text.command_help(command, launcher))
    return BUILT
