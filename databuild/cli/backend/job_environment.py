"""The environment of jobs: that of the user, without the variables that were set for this process (docs/adr/0016).

The launcher and the bootstrap of the Python rules set variables that would be wrong in a job: with the PYTHONPATH of
this process, a job would import its packages. So the launcher passes the values that the user had set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

SET_FOR_US = ("LC_CTYPE", "PYTHONEXECUTABLE", "PYTHONPATH", "PYTHONSAFEPATH")
"""Variables that the bootstrap of the Python rules, or the interpreter itself (PEP 538), sets for this process.

The launcher passes those that the user had set as `--user_env=NAME=VALUE`.
"""

TOKENS_VARIABLE = "DATABUILD_TOKENS"
"""The variable with the tokens of a service."""

SIGNING_VARIABLE = "DATABUILD_NOTIFY_SECRET"
"""The variable with the key that signs notifications."""

_BAZEL_INVOCATION_VARIABLE = "BUILD_ID"
"""The variable with the id of the invocation of `bazel run`, a UUID. Other programs set one of the same name."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_NOT_FOR_JOBS = frozenset(
    {
        *SET_FOR_US,
        # Set by the offline Python rules for themselves.
        "BAZEL_PYTHONPATH",
        # Set by `bazel run` about the program that it starts.
        "BUILD_EXECROOT",
        _BAZEL_INVOCATION_VARIABLE,
        # They name the runfiles of another program, and take precedence over RUNFILES_DIR.
        "JAVA_RUNFILES",
        "PYTHON_RUNFILES",
        "RUNFILES_MANIFEST_FILE",
        "RUNFILES_MANIFEST_ONLY",
        # Set in a reproduction, whose job may start a build.
        "DATABUILD_SCRATCH",
        # A job must not read the secrets of the service.
        TOKENS_VARIABLE,
        SIGNING_VARIABLE,
    }
)


def job_environment(
    environ: Mapping[str, str], user_env: Mapping[str, str], *, runfiles: str, workspace: str, cwd: str
) -> dict[str, str]:
    """Returns the environment of every job, to which the variables of each job are added.

    Args:
        environ: The environment of this process.
        user_env: The values that the user had set for variables in SET_FOR_US.
        runfiles: The runfiles root of the jobs; empty for none.
        workspace: The workspace of the state directory.
        cwd: The working directory of jobs.
    """
    environment = {name: value for name, value in environ.items() if name not in _NOT_FOR_JOBS}
    environment.update(user_env)
    environment["BUILD_WORKSPACE_DIRECTORY"] = workspace
    environment["BUILD_WORKING_DIRECTORY"] = cwd
    if runfiles:
        # A program that starts another one from its runfiles has to set it:
        # https://bazel.build/extending/rules#runfiles_location
        environment["RUNFILES_DIR"] = runfiles
    # Keep a PWD that names the folder by symbolic links, as a shell would (POSIX, `pwd -L`).
    if not _is_same_folder(environment.get("PWD", ""), cwd):
        environment["PWD"] = cwd
    return environment


def bazel_invocation_id(environ: Mapping[str, str]) -> str:
    """Returns the id of the invocation of `bazel run` that has started this process; empty if Bazel did not tell it."""
    value = environ.get(_BAZEL_INVOCATION_VARIABLE, "")
    return value if value and re.fullmatch(_UUID, value) else ""


def _is_same_folder(path: str, folder: str) -> bool:
    try:
        return os.path.isabs(path) and os.path.samefile(path, folder)  # noqa: PTH117, PTH121
    except OSError:
        return False
