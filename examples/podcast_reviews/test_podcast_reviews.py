"""Tests of the jobs of the podcast example, without a graph."""

import json
from pathlib import Path

import pytest

from databuild.job import ConfigError
from databuild.testing import JobUnderTest
from examples.podcast_reviews import categorized_reviews, daily_summaries, phrase_models, phrase_stats, reviews

JOBS = {
    module.__name__.rpartition(".")[2]: JobUnderTest(module.config, module.run)
    for module in (reviews, categorized_reviews, phrase_models, phrase_stats, daily_summaries)
}


def test_a_day_is_summarized(tmp_path: Path) -> None:
    env = {"PODCAST_DATA": str(tmp_path / "data")}
    for name, job in JOBS.items():
        ref = f"{name}/date=2020-01-01" if name == "reviews" else f"{name}/category=news/date=2020-01-01"
        result = job.execute_for(ref, folder=tmp_path, env=env)
        assert result.exit_code == 0
        assert ref in result.finished
    summary = json.loads((tmp_path / "data/daily_summaries/category=news/date=2020-01-01.jsonl").read_text())

    assert summary["reviews"] > 10
    assert 1 <= summary["mean_stars"] <= 5
    assert summary["best_phrase"] != summary["worst_phrase"]


def test_every_review_gets_a_category(tmp_path: Path) -> None:
    env = {"PODCAST_DATA": str(tmp_path / "data")}
    JOBS["reviews"].execute_for("reviews/date=2020-01-02", folder=tmp_path, env=env)
    result = JOBS["categorized_reviews"].execute(["2020-01-02"], folder=tmp_path, env=env)

    assert [check["passed"] for check in result.of("check")] == [True]


def test_an_unknown_category_is_refused() -> None:
    with pytest.raises(ConfigError, match="the categories are"):
        JOBS["phrase_stats"].configure("phrase_stats/category=opera/date=2020-01-01")
