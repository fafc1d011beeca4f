"""Phrases of a category and day: pairs of words that occur together more often than by chance."""

from collections import Counter
from itertools import pairwise

from databuild.job import Run, main
from examples.podcast_reviews.store import read, write


def run(run: Run) -> None:
    """Scores each pair of adjacent words by the ratio of its frequency to the one expected by chance."""
    (reviews,) = run.inputs
    words: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for row in read(reviews):
        text = str(row["text"]).lower().replace(",", "").replace(".", "").replace(":", "").split()
        words.update(text)
        pairs.update(pairwise(text))
    total = sum(words.values())
    scored = [
        (round(count * total / (words[first] * words[second]), 3), f"{first} {second}")
        for (first, second), count in pairs.items()
        if count >= 3
    ]
    write(
        run, run.output.ref, [{"phrase": phrase, "score": score} for score, phrase in sorted(scored, reverse=True)[:40]]
    )


if __name__ == "__main__":
    main(run)
