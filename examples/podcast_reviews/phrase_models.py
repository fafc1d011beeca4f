"""Which words belong together, learned from the reviews of a category and day."""

from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.podcast_reviews.store import fields, read, write


def config(refs: Sequence[str]) -> Iterator[Config]:
    """One run for each model, from the reviews of its day."""
    for ref in refs:
        of = fields(ref)
        reviews = f"categorized_reviews/category={of['category']}/date={of['date']}"
        yield Config(outputs=[ref], materialize=[reviews], args=[ref, reviews])


def run(run: Run) -> None:
    """Counts neighbouring words; those that meet more often than chance would have it are a phrase."""
    from collections import Counter
    from itertools import pairwise

    ref, reviews = run.args
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
    write(run, ref, [{"phrase": phrase, "score": score} for score, phrase in sorted(scored, reverse=True)[:40]])


if __name__ == "__main__":
    main(config, run)
