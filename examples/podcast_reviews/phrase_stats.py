"""Number of reviews and mean stars of each phrase in a category and day."""

from databuild.job import Run, main
from examples.podcast_reviews.store import read, write


def run(run: Run) -> None:
    model, reviews = run.inputs
    rows: list[dict[str, object]] = []
    texts = [(str(row["text"]).lower(), int(str(row["stars"]))) for row in read(reviews)]
    for phrase in (str(row["phrase"]) for row in read(model)):
        stars = [count for text, count in texts if phrase in text]
        if stars:
            rows.append({"phrase": phrase, "reviews": len(stars), "mean_stars": round(sum(stars) / len(stars), 2)})
    write(run, run.output.ref, rows)


if __name__ == "__main__":
    main(run)
