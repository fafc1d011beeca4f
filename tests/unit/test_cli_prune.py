"""The durations of `prune`: their units, and the refusal of anything else."""

import pytest

from databuild.cli.commands.prune import parse_duration
from databuild.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 2_592_000), ("12h", 43_200), ("2w", 1_209_600), ("90m", 5400), ("45s", 45), ("1h30m", 5400), ("0d", 0)],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text, "older_than") == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "30 d", "-1d", "1.5d", "1y", "30d!", "1_0d", "٣d", "9999999999d"])
def test_text_that_is_no_duration_is_refused_with_the_allowed_forms(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^--older_than=.* is not a duration; .* such as 30d or 12h30m$"):
        parse_duration(text, "older_than")
