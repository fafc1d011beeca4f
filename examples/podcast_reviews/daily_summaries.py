"""Summary of a category and day: number of reviews, mean stars, best and worst phrase."""

from databuild.job import Run, main
from examples.podcast_reviews.store import read, write


def run(run: Run) -> None:
    stats, reviews = run.inputs
    stars = [int(str(row["stars"])) for row in read(reviews)]
    if not run.check("has_reviews", bool(stars), ref=run.output.ref, message=f"{len(stars)} reviews"):
        raise SystemExit(f"{reviews.ref} is empty: there is nothing to summarize")
    phrases = sorted((float(str(row["mean_stars"])), str(row["phrase"])) for row in read(stats))
    summary: dict[str, object] = {
        **run.output.field_texts,
        "reviews": len(stars),
        "mean_stars": round(sum(stars) / len(stars), 2),
        "best_phrase": phrases[-1][1] if phrases else None,
        "worst_phrase": phrases[0][1] if phrases else None,
    }
    write(run, run.output.ref, [summary])


if __name__ == "__main__":
    main(run)
