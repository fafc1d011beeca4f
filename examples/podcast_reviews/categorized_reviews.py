"""Reviews of one day by category."""

from databuild.job import Run, main
from examples.podcast_reviews.store import read, write

_WORDS = {
    "comedy": ("laugh", "joke"),
    "history": ("empire", "century"),
    "news": ("wire", "fold"),
    "science": ("atom", "field"),
}


def run(run: Run) -> None:
    """Assigns reviews to categories by words in the name of the podcast."""
    (date,) = run.args
    (reviews,) = run.inputs
    rows = read(reviews)
    sorted_rows = 0
    for category, words in _WORDS.items():
        chosen = [row for row in rows if any(word in str(row["podcast"]).lower() for word in words)]
        write(run, f"categorized_reviews/category={category}/date={date}", chosen)
        sorted_rows += len(chosen)
    message = f"{sorted_rows} of {len(rows)} reviews have a category"
    run.check("every_review_has_one_category", sorted_rows == len(rows), message=message)


if __name__ == "__main__":
    main(run)
