"""Number of reviews and mean stars of each phrase in a category and day."""

from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.podcast_reviews.store import fields, read, write


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration per category and day. Its inputs are the phrase model and the reviews."""
    for ref in refs:
        of = fields(ref)
        model, reviews = (
            f"{name}/category={of['category']}/date={of['date']}" for name in ("phrase_models", "categorized_reviews")
        )
        yield Config(outputs=[ref], materialize=[model, reviews], args=[ref, model, reviews])


def run(run: Run) -> None:
    ref, model, reviews = run.args
    rows: list[dict[str, object]] = []
    texts = [(str(row["text"]).lower(), int(str(row["stars"]))) for row in read(reviews)]
    for phrase in (str(row["phrase"]) for row in read(model)):
        stars = [count for text, count in texts if phrase in text]
        if stars:
            rows.append({"phrase": phrase, "reviews": len(stars), "mean_stars": round(sum(stars) / len(stars), 2)})
    write(run, ref, rows)


if __name__ == "__main__":
    main(config, run)
