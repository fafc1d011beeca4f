"""Generated reviews of a day. The generator is seeded with the date, so that the output is reproducible."""

import random

from databuild.job import Run, main
from examples.podcast_reviews.store import write

_PODCASTS = {
    "Laugh Track": "comedy", "Two Jokes In": "comedy", "Old Empires": "history", "The Long Century": "history",
    "Morning Wire": "news", "Above the Fold": "news", "Loose Atoms": "science", "Field Notes": "science",
}  # fmt: skip
_OPENINGS = ("I listen every week", "Found this on a long drive", "My sister sent me this", "A year in, and")
_PRAISE = ("great sound quality", "so well researched", "the hosts are a delight", "could not stop listening")
_BLAME = ("too many ads", "the audio is too quiet", "the hosts talk over each other", "it lost me half way")


def run(run: Run) -> None:
    chance = random.Random(run.output.field_texts["date"])
    rows: list[dict[str, object]] = []
    for number in range(chance.randint(150, 250)):
        stars = chance.choices((1, 2, 3, 4, 5), weights=(1, 1, 2, 4, 6))[0]
        phrases = [chance.choice(_PRAISE if chance.random() * 5 < stars else _BLAME) for _ in range(2)]
        text = f"{chance.choice(_OPENINGS)}: {phrases[0]}, and {phrases[1]}."
        rows.append({"id": number, "podcast": chance.choice(list(_PODCASTS)), "stars": stars, "text": text})
    run.metric("reviews", len(rows))
    write(run, run.output.ref, rows)


if __name__ == "__main__":
    main(run)
