"""`completion bash|zsh`: prints a script that completes commands, flags and their values."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.command_table import COMMANDS
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.flag_table import BOOL, flags_of
from databuild.cli.flags.usage_error import UsageError

_BASH = """\
# Completion for {program}, the launcher of a DataBuild graph. `source` this file to use it.
_databuild_{function}() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" command=build candidate
  for candidate in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$candidate" in
      {names}) command="$candidate"; break ;;
    esac
  done
  local flags=""
  case "$command" in
{cases}
  esac
  if [[ "$word" == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word")
    if [[ "${{COMPREPLY[0]-}}" == *= ]]; then compopt -o nospace; fi
  else
    mapfile -t COMPREPLY < <(compgen -W "{words}" -- "$word")
  fi
}}
complete -F _databuild_{function} {program}
"""


def run(call: Invocation) -> int:
    if call.positionals not in (["bash"], ["zsh"]):
        raise UsageError(f"completion takes bash or zsh, not {' '.join(call.positionals)!r}", call.command)
    if call.positionals == ["zsh"]:
        # zsh runs the script of bash in its emulation.
        call.out.write("autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n")
    program = call.graph_label.rpartition(":")[2]
    commands = [command for command in COMMANDS if not command.hidden]
    cases = [
        f'    {"|".join((command.name, *command.aliases))}) flags="{" ".join(_candidates(command.name))}" ;;'
        for command in commands
    ]
    words = [name for command in commands for name in (command.name, *command.aliases)]
    call.out.write(
        _BASH.format(
            program=program,
            function="".join(letter if letter.isalnum() else "_" for letter in program),
            names="|".join(words),
            words=" ".join(words),
            cases="\n".join(cases),
        )
    )
    return BUILT


def _candidates(command: str) -> list[str]:
    candidates = []
    for flag in flags_of(command):
        if flag.kind == BOOL:
            candidates.append(f"--{flag.name}")
        elif flag.values:  # complete the value with the flag
            candidates += [f"--{flag.name}={value}" for value in flag.values]
        else:
            candidates.append(f"--{flag.name}=")
    return candidates
