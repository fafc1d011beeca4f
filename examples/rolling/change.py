"""The change from the total of the first input to that of the second, in per cent."""

from pathlib import Path

from databuild.job import Run, main, writing


def run(run: Run) -> None:
    before, now = (used.metadata["total"] for used in run.inputs)
    path = Path("data/rolling", run.output.ref).resolve()
    with writing(path) as unfinished:
        Path(unfinished).write_text(f"{now / before - 1:+.1%}\n")
    run.finished(run.output.ref, uri=path, path=str(path))


if __name__ == "__main__":
    main(run)
