"""The step of the GitHub action that builds: it writes a summary and annotations, and sets outputs.

It ends with the exit code of the build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))

from integrations.github.workflow import MAX_ANNOTATIONS, Step, graph_command

_LEVELS = {"ERROR": "error", "WARNING": "warning", "INFO": "notice"}


def main() -> int:
    step = Step(os.environ)
    folder = Path(tempfile.mkdtemp(prefix="databuild-", dir=step.variable("RUNNER_TEMP") or None))
    try:
        flags = [*step.words("FLAGS"), *(f"--report={folder}/report.{ending}" for ending in ("html", "json", "md"))]
        flags.append(f"--junit_xml={folder}/junit.xml")
        if step.text("ARTIFACT") == "event-log":
            flags.append(f"--event_sink=jsonl:{folder}/events.jsonl")
        command = graph_command(step, "build", flags)
    except ValueError as error:
        step.annotate("error", "DataBuild", str(error))
        return 2
    with step.without_commands():
        code = subprocess.run(command, env=step.child_environment(), check=False).returncode
    report = folder / "report.json"
    step.set_outputs({"exit-code": code, "reports": folder})
    if not report.exists():
        step.annotate("error", "DataBuild", f"no build was recorded; exit code {code}, see the log of this step")
        return code or 3
    document = json.loads(report.read_text(encoding="utf-8"))
    step.add_summary((folder / "report.md").read_text(encoding="utf-8"))
    step.set_outputs(_outputs(step, document))
    _annotate(step, document)
    return code


def _outputs(step: Step, document: Mapping[str, Any]) -> dict[str, object]:
    build = document["build"]
    name = build["build_request_id"]
    page = step.text("PAGE_URL").rstrip("/")
    run = "{}/{}/actions/runs/{}".format(
        *map(step.variable, ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"))
    )
    return {
        "build-id": name,
        "status": build["status"],
        "tasks": len(document["tasks"]),
        "jobs-completed": build["jobs_completed"],
        "jobs-failed": build["jobs_failed"],
        "partitions-built": build["partitions_available"],
        "partitions-taken": build["partitions_delegated"],
        "partitions-failed": build["partitions_failed"],
        "checks-failed": sum(not check["passed"] for check in document["checks"]),
        "page": f"{page}/builds/{name}" if page else run,
    }


def _annotate(step: Step, document: Mapping[str, Any]) -> None:
    build = document["build"]
    failed = [task for task in document["tasks"] if task["runs"] and task["runs"][-1]["record"]["status"] == "FAILED"]
    # The last annotation that is shown tells how many more there are.
    shown = failed if len(failed) <= MAX_ANNOTATIONS else failed[: MAX_ANNOTATIONS - 1]
    for task in shown:
        run = task["runs"][-1]
        failure = run["record"]["failure"] or {"category": "", "message": "failed"}
        tail = (run["stderr_tail"] or run["stdout_tail"]).rstrip().splitlines()[-10:]
        message = "\n".join([f"{_name(task['outputs'])}: {failure['category']}: {failure['message']}", *tail])
        step.annotate("error", f"{task['job_label']} failed", message)
    if len(failed) > len(shown):
        step.annotate("error", "DataBuild", f"{len(failed) - len(shown)} more tasks failed; the summary lists them")
    for check in document["checks"]:
        if not check["passed"]:
            subject = f"{check['name']} of {check['ref']}" if check["ref"] else check["name"]
            level = _LEVELS.get(check["severity"], "error")
            step.annotate(level, f"Check {subject}", f"{check['job_label']}: {check['message'] or 'it did not pass'}")
    if build["failure"] and not failed:
        step.annotate("error", f"Build {build['status']}", build["failure"]["message"])
    for warning in document["warnings"]:
        step.annotate("warning", "DataBuild", warning)


def _name(outputs: Sequence[str]) -> str:
    return f"{outputs[0]} and {len(outputs) - 1} more" if len(outputs) > 1 else "".join(outputs)


if __name__ == "__main__":
    sys.exit(main())
