"""Tests of the jobs of the podcast example, without a graph."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from databuild.job import ConfigError
from databuild.testing import GivenInput, JobUnderTest, RunResult
from examples.podcast_reviews import (
    categorized_reviews,
    daily_summaries,
    newsletters,
    phrase_models,
    phrase_stats,
    reviews,
)

OF_DAY = "{dataset}/date={date:date}"
OF_CATEGORY = "{dataset}/category={category}/date={date:date}"
CATEGORIES = ("comedy", "history", "news", "science")


class Store:
    """Runs jobs in a folder, and knows what their outputs reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata: dict[str, Mapping[str, object]] = {}

    def make(
        self, module: ModuleType, outputs: Sequence[str], inputs: Sequence[str] = (), args: Sequence[str] = ()
    ) -> RunResult:
        job = JobUnderTest(module.run, patterns=[OF_DAY, OF_CATEGORY])
        given = [GivenInput(ref=ref, metadata=self.metadata[ref]) for ref in inputs]
        env = {"PODCAST_DATA": str(self.folder / "data")}
        result = job.execute(args, folder=self.folder, outputs=outputs, inputs=given, env=env)
        assert result.error is None
        assert result.finished == outputs
        self.metadata.update((ref, result.metadata(ref)) for ref in outputs)
        return result

    def sort(self, date: str) -> RunResult:
        self.make(reviews, [f"reviews/date={date}"])
        categorized = [f"categorized_reviews/category={category}/date={date}" for category in CATEGORIES]
        return self.make(categorized_reviews, categorized, [f"reviews/date={date}"], [date])


def test_a_day_is_summarized(tmp_path: Path) -> None:
    of = "category=news/date=2020-01-01"
    store = Store(tmp_path)
    store.sort("2020-01-01")
    store.make(phrase_models, [f"phrase_models/{of}"], [f"categorized_reviews/{of}"])
    store.make(phrase_stats, [f"phrase_stats/{of}"], [f"phrase_models/{of}", f"categorized_reviews/{of}"])
    store.make(daily_summaries, [f"daily_summaries/{of}"], [f"phrase_stats/{of}", f"categorized_reviews/{of}"])
    summary = json.loads((tmp_path / f"data/daily_summaries/{of}.jsonl").read_text())

    assert (summary["category"], summary["date"]) == ("news", "2020-01-01")
    assert summary["reviews"] > 10
    assert 1 <= summary["mean_stars"] <= 5
    assert summary["best_phrase"] != summary["worst_phrase"]


def test_every_review_gets_a_category(tmp_path: Path) -> None:
    result = Store(tmp_path).sort("2020-01-02")

    assert [check["passed"] for check in result.of("check")] == [True]


def test_a_newsletter_has_the_best_phrases_of_its_categories(tmp_path: Path) -> None:
    (tmp_path / "summary.jsonl").write_text('{"category": "comedy", "best_phrase": "sound quality"}\n')
    summaries = [f"daily_summaries/category={category}/date=2020-01-04" for category in ("comedy", "science")]
    given = [GivenInput(ref=ref, metadata={"path": str(tmp_path / "summary.jsonl")}) for ref in summaries]
    job = JobUnderTest(newsletters.config, newsletters.run)
    ref = "newsletters/name=weekend/date=2020-01-04"
    result = job.execute_for(ref, folder=tmp_path, inputs=given, env={"PODCAST_DATA": str(tmp_path)})

    assert [list(config.materialize) for config in job.configure(ref)] == [summaries]
    assert result.metadata(ref)["rows"] == 2
    assert "sound quality" in (tmp_path / f"{ref}.jsonl").read_text()


def test_an_unknown_newsletter_is_refused() -> None:
    with pytest.raises(ConfigError, match="the newsletters are morning, weekend"):
        JobUnderTest(newsletters.config, newsletters.run).configure("newsletters/name=evening/date=2020-01-04")
