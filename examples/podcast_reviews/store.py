"""Refs of the podcast example, and its partitions as files of JSON lines.

Data is in the directory `PODCAST_DATA`; by default in `data/podcast_reviews/` of the workspace, or of the working
directory outside `bazel run`.
"""

import os

from databuild.job import ConfigError, Run, content_digest, writing

CATEGORIES = ("comedy", "history", "news", "science")
"""All categories of podcasts."""


def fields(ref: str) -> "dict[str, str]":
    """Returns the fields of a ref such as `phrase_stats/category=news/date=2020-01-01`: category and date.

    Raises:
        ConfigError: The category is unknown.
    """
    values = dict(part.split("=", 1) for part in ref.split("/")[1:])
    if values.get("category", CATEGORIES[0]) not in CATEGORIES:
        raise ConfigError(f"{ref!r}: unknown category; the categories are {', '.join(CATEGORIES)}")
    return values


def data_file(ref: str) -> str:
    """Returns the path of the file of a partition."""
    root = os.environ.get("PODCAST_DATA")
    if not root:
        root = os.path.join(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), "data", "podcast_reviews")  # noqa: PTH118
    return f"{root}/{ref}.jsonl"


def read(ref: str) -> "list[dict[str, object]]":
    """Returns the rows of a partition."""
    import json

    with open(data_file(ref), encoding="utf-8") as file:  # noqa: PTH123
        return [json.loads(line) for line in file]


def write(run: Run, ref: str, rows: "list[dict[str, object]]") -> None:
    """Writes the rows of a partition and reports it finished."""
    import json

    path = data_file(ref)
    with writing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.writelines(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    run.finished(ref, content_digest=content_digest(path), rows=len(rows), path=path)
    print(f"{ref}: {len(rows)} rows")
