"""The step of the GitHub action that comments on a pull request what the change makes stale.

It plans against the event log that the main branch uses. The comment is written once for each graph, and then updated.
A plan that fails is an error; a comment that cannot be written is a warning, since the summary has the same text.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))

from integrations.github.workflow import Step, graph_command
from integrations.plan_comment import comment, marker, stale_jobs
from integrations.rest import RequestError, Rest


def main() -> int:
    step = Step(os.environ)
    try:
        command = graph_command(step, "plan", [*step.words("PLAN_FLAGS"), "--output=json"])
    except ValueError as error:
        step.annotate("error", "DataBuild", str(error))
        return 2
    with step.without_commands():
        planned = subprocess.run(command, env=step.child_environment(), stdout=subprocess.PIPE, check=False)
    if planned.returncode:
        message = f"no plan could be made; exit code {planned.returncode}, see the log of this step"
        step.annotate("error", "DataBuild", message)
        return planned.returncode
    plan = json.loads(planned.stdout)
    rows = stale_jobs(plan)
    step.set_outputs(
        {"stale-partitions": sum(row.stale for row in rows), "stale-jobs": sum(row.stale > 0 for row in rows)}
    )
    text = comment(plan)
    step.add_summary(text)
    number = _pull_request(step)
    if number is None:
        return 0
    try:
        _write(step, number, marker(plan["graph_label"]), text)
    except RequestError as error:
        # The token of a pull request from a fork may only read.
        step.annotate("warning", "DataBuild", f"the comment could not be written: {error}")
    return 0


def _pull_request(step: Step) -> int | None:
    """Returns the number of the pull request that started the workflow; None for other events."""
    path = step.variable("GITHUB_EVENT_PATH")
    event: Mapping[str, Any] = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    number = (event.get("pull_request") or {}).get("number")
    return int(number) if number else None


def _write(step: Step, number: int, first_line: str, text: str) -> None:
    """Writes the comment, or updates it.

    Raises:
        RequestError: The API refused a request.
    """
    api = Rest(
        step.variable("GITHUB_API_URL") or "https://api.github.com",
        {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {step.text('TOKEN')}",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    issues = f"/repos/{step.variable('GITHUB_REPOSITORY')}/issues"
    author = _login(api)
    for written in api.rows(f"{issues}/{number}/comments"):
        user = written["user"] or {}  # that of an account that was deleted
        own = user.get("login") == author if author else user.get("type") == "Bot"
        if own and (written["body"] or "").startswith(first_line):
            if written["body"].strip() != text.strip():
                api.call("PATCH", f"{issues}/comments/{written['id']}", {"body": text})
            return
    api.call("POST", f"{issues}/{number}/comments", {"body": text})


def _login(api: Rest) -> str:
    """Returns the name of the user whose token this is; empty for an app, such as the token of a workflow."""
    try:
        return str(api.call("GET", "/user")["login"])
    except RequestError as error:
        if error.status in {401, 403, 404}:
            return ""
        raise


if __name__ == "__main__":
    sys.exit(main())
