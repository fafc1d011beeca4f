"""Program of the no-op job in Python: it does what noop_job.c does, as a process or as a worker."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from databuild.job import Config, Run, main


def config(refs: Iterable[str]) -> Iterator[Config]:
    return (Config(outputs=[ref], materialize=_inputs_of(ref), args=[ref]) for ref in refs)


def run(_run: Run) -> None:
    if path := os.environ.get("BENCHMARK_COUNT"):
        with Path(path).open("ab", buffering=0) as file:
            file.write(b".")


def _inputs_of(ref: str) -> list[str]:
    kind, number = ref.split("/")
    if kind == "wide":
        return [f"leaf/{leaf}" for leaf in range(int(number))]
    return [f"chain/{int(number) - 1}"] if kind == "chain" and number != "0" else []


main(config, run)
