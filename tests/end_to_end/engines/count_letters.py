"""Counts the letters of the words that are its inputs; which characters are letters is in a file among its runfiles."""

from __future__ import annotations

from pathlib import Path

from databuild.job import Run, main


def run(run: Run) -> None:
    alphabet = (Path(__file__).parent / "alphabet.txt").read_text()
    words = [str(used.metadata["word"]) for used in run.inputs]
    run.finished(run.output.ref, letters=sum(letter in alphabet for word in words for letter in word))


if __name__ == "__main__":
    main(run)
