"""The sum of all numbers in all inputs. Four jobs run this program; only their inputs differ."""

from pathlib import Path

from databuild.job import Run, content_digest, main, writing


def run(run: Run) -> None:
    total = sum(int(number) for used in run.inputs for number in Path(used.metadata["path"]).read_text().split())
    path = Path("data/rolling", run.output.ref).resolve()
    with writing(path) as unfinished:
        Path(unfinished).write_text(f"{total}\n")
    run.finished(run.output.ref, uri=path, content_digest=content_digest(path), path=str(path), total=total)


if __name__ == "__main__":
    main(run)
