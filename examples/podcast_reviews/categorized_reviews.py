"""Reviews of one day by category."""

from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.podcast_reviews.store import CATEGORIES, fields, read, write

_WORDS = {
    "comedy": ("laugh", "joke"),
    "history": ("empire", "century"),
    "news": ("wire", "fold"),
    "science": ("atom", "field"),
}


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration per day, which produces all categories."""
    for date in sorted({fields(ref)["date"] for ref in refs}):
        outputs = [f"categorized_reviews/category={category}/date={date}" for category in CATEGORIES]
        yield Config(outputs=outputs, materialize=[f"reviews/date={date}"], args=[date])


def run(run: Run) -> None:
    """Assigns reviews to categories by words in the name of the podcast."""
    (date,) = run.args
    rows = read(f"reviews/date={date}")
    sorted_rows = 0
    for category in CATEGORIES:
        chosen = [row for row in rows if any(word in str(row["podcast"]).lower() for word in _WORDS[category])]
        write(run, f"categorized_reviews/category={category}/date={date}", chosen)
        sorted_rows += len(chosen)
    message = f"{sorted_rows} of {len(rows)} reviews have a category"
    run.check("every_review_has_one_category", sorted_rows == len(rows), message=message)


if __name__ == "__main__":
    main(config, run)
