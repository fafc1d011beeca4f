"""Writes a note on a merge request: what the change makes stale. Called with the JSON of `plan` as a file.

The variables are those of GitLab CI (https://docs.gitlab.com/ci/variables/predefined_variables/), and
`DATABUILD_GITLAB_TOKEN`: a token with the scope `api`, since the token of a CI job cannot write notes. Without it, the
note is only printed. The note is written once for each graph, and then updated.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))

from integrations.plan_comment import comment, marker
from integrations.rest import RequestError, Rest


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    if len(arguments) != 1:
        print("usage: note.py PLAN_JSON", file=sys.stderr)
        return 2
    # `bazel run` changes the folder.
    path = Path(environ.get("BUILD_WORKING_DIRECTORY", ""), arguments[0])
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"databuild: the plan {path} cannot be read: {error}", file=sys.stderr)
        return 2
    text = comment(plan)
    print(text)
    token, merge_request = environ.get("DATABUILD_GITLAB_TOKEN", "").strip(), environ.get("CI_MERGE_REQUEST_IID")
    if not token or not merge_request:
        print("databuild: no note is written without DATABUILD_GITLAB_TOKEN and a merge request", file=sys.stderr)
        return 0
    try:
        api = Rest(environ.get("CI_API_V4_URL", "https://gitlab.com/api/v4"), {"PRIVATE-TOKEN": token})
        notes = f"/projects/{environ['CI_PROJECT_ID']}/merge_requests/{merge_request}/notes"
        _write(api, notes, marker(plan["graph_label"]), text)
    except RequestError as error:
        print(f"databuild: the note could not be written: {error}", file=sys.stderr)
        return 1
    return 0


def _write(api: Rest, notes: str, first_line: str, text: str) -> None:
    """Writes the note, or updates it.

    Raises:
        RequestError: The API refused a request.
    """
    author = api.call("GET", "/user")["id"]
    for written in api.rows(notes):
        if (written["author"] or {}).get("id") == author and (written["body"] or "").startswith(first_line):
            if written["body"].strip() != text.strip():
                api.call("PUT", f"{notes}/{written['id']}", {"body": text})
            return
    api.call("POST", notes, {"body": text})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
