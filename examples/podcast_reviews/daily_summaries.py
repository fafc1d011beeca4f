"""Summary of a category and day: number of reviews, mean stars, best and worst phrase."""

from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.podcast_reviews.store import fields, read, write


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration per category and day. Its inputs are the reviews and the phrase statistics."""
    for ref in refs:
        of = fields(ref)
        stats, reviews = (
            f"{name}/category={of['category']}/date={of['date']}" for name in ("phrase_stats", "categorized_reviews")
        )
        yield Config(outputs=[ref], materialize=[stats, reviews], args=[ref, stats, reviews])


def run(run: Run) -> None:
    ref, stats, reviews = run.args
    stars = [int(str(row["stars"])) for row in read(reviews)]
    if not run.check("has_reviews", bool(stars), ref=ref, message=f"{len(stars)} reviews"):
        raise SystemExit(f"{reviews} is empty: there is nothing to summarize")
    phrases = sorted((float(str(row["mean_stars"])), str(row["phrase"])) for row in read(stats))
    summary: dict[str, object] = {
        **fields(ref),
        "reviews": len(stars),
        "mean_stars": round(sum(stars) / len(stars), 2),
        "best_phrase": phrases[-1][1] if phrases else None,
        "worst_phrase": phrases[0][1] if phrases else None,
    }
    write(run, ref, [summary])


if __name__ == "__main__":
    main(config, run)
