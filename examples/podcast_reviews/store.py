"""Partitions of the podcast example as files of JSON lines.

Data is in the directory `PODCAST_DATA`; by default in `data/podcast_reviews/` of the workspace, or of the working
directory outside `bazel run`.
"""

import json
import os

from databuild.job import Partition, Run, content_digest, writing


def read(partition: Partition) -> list[dict[str, object]]:
    """Returns the rows of an input."""
    with open(partition.metadata["path"], encoding="utf-8") as file:  # noqa: PTH123
        return [json.loads(line) for line in file]


def write(run: Run, ref: str, rows: list[dict[str, object]]) -> None:
    """Writes the rows of an output and reports it finished."""
    root = os.environ.get("PODCAST_DATA")
    if not root:
        root = os.path.join(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), "data", "podcast_reviews")  # noqa: PTH118
    path = f"{root}/{ref}.jsonl"
    with writing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.writelines(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    run.finished(ref, uri=path, content_digest=content_digest(path), rows=len(rows), path=path)
    print(f"{ref}: {len(rows)} rows")
