"""Adds the squares that are its inputs."""

from databuild.job import Run, main


def run(run: Run) -> None:
    squares = [used.metadata["square"] for used in run.inputs]
    print(" + ".join(f"{square:g}" for square in squares))
    run.finished(run.output.ref, sum=sum(squares))


if __name__ == "__main__":
    main(run)
