"""The environment of jobs: the user's, whatever the command line was started with (docs/adr/0016).

The launcher and the bootstrap of the Python rules set variables for this process that would be wrong in a job: with our
PYTHONPATH a job would import our packages. The launcher therefore passes those that the user had set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

SET_FOR_US = ("LC_CTYPE", "PYTHONEXECUTABLE", "PYTHONPATH", "PYTHONSAFEPATH")
"""Variables that the bootstrap of the Python rules, or the interpreter itself (PEP 538), sets for this process.

The launcher passes those that the user had set as `--user_env=NAME=VALUE`.
"""

TOKENS_VARIABLE = "DATABUILD_TOKENS"

_NOT_FOR_JOBS = frozenset(
    {
        *SET_FOR_US,
        # The offline Python rules keep this for themselves.
        "BAZEL_PYTHONPATH",
        # `bazel run` says these of the program that it starts.
        "BUILD_EXECROOT",
        "BUILD_ID",
        # They name the runfiles of some other program, and win over RUNFILES_DIR where they are set.
        "JAVA_RUNFILES",
        "PYTHON_RUNFILES",
        "RUNFILES_MANIFEST_FILE",
        "RUNFILES_MANIFEST_ONLY",
        # A job is not to read what lets people in.
        TOKENS_VARIABLE,
    }
)


def job_environment(
    environ: Mapping[str, str], user_env: Mapping[str, str], *, runfiles: str, workspace: str, cwd: str
) -> dict[str, str]:
    """Returns what the variables of each job process are laid over, whichever command starts it.

    Args:
        environ: The environment of this process.
        user_env: What the user had set of SET_FOR_US.
        runfiles: The runfiles root that the jobs lie in.
        workspace: The workspace that the state directory lies in.
        cwd: Where jobs run.
    """
    environment = {name: value for name, value in environ.items() if name not in _NOT_FOR_JOBS}
    environment.update(user_env)
    environment["BUILD_WORKSPACE_DIRECTORY"] = workspace
    environment["BUILD_WORKING_DIRECTORY"] = cwd
    if runfiles:
        # As whatever starts a program from its runfiles has to: https://bazel.build/extending/rules#runfiles_location
        environment["RUNFILES_DIR"] = runfiles
    if not _is_folder(environment.get("PWD", ""), cwd):
        environment["PWD"] = cwd
    return environment


def _is_folder(path: str, folder: str) -> bool:
    try:
        return os.path.isabs(path) and os.path.samefile(path, folder)  # noqa: PTH117, PTH121
    except OSError:
        return False
