"""Newsletters: the best phrases of some categories on a day.

`newsletters.json` says which categories a newsletter has. So the inputs do not follow from the ref alone, and this job
has `config`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from databuild.job import Config, ConfigError, Run, main
from examples.podcast_reviews.store import read, write


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration per newsletter and day. Its inputs are the summaries of its categories."""
    categories = json.loads(Path(__file__).with_suffix(".json").read_text())
    for ref in refs:
        _, name, date = ref.split("/")
        if name.removeprefix("name=") not in categories:
            raise ConfigError(f"{ref!r}: unknown newsletter; the newsletters are {', '.join(categories)}")
        chosen = categories[name.removeprefix("name=")]
        yield Config(outputs=[ref], materialize=[f"daily_summaries/category={category}/{date}" for category in chosen])


def run(run: Run) -> None:
    summaries = [row for used in run.inputs for row in read(used)]
    write(run, run.output.ref, [{"category": row["category"], "praise": row["best_phrase"]} for row in summaries])


if __name__ == "__main__":
    main(config, run)
