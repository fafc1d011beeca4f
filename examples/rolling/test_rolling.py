"""Tests of the Python jobs of this example, without a graph."""

from pathlib import Path

from databuild.testing import GivenInput, JobUnderTest
from examples.rolling import change, total


def test_a_total_adds_up_all_numbers_of_all_inputs(tmp_path: Path) -> None:
    (tmp_path / "many").write_text("5\n-2\n")
    (tmp_path / "one").write_text("10\n")
    inputs = [GivenInput(ref=name, metadata={"path": name}) for name in ("many", "one")]
    result = JobUnderTest(total.run).execute(folder=tmp_path, outputs=["balance/date=2026-01-02"], inputs=inputs)

    assert result.error is None
    assert result.metadata("balance/date=2026-01-02")["total"] == 13
    assert (tmp_path / "data/rolling/balance/date=2026-01-02").read_text() == "13\n"


def test_a_change_compares_the_second_input_with_the_first(tmp_path: Path) -> None:
    inputs = [GivenInput(ref=ref, metadata={"total": cents}) for ref, cents in (("january", 200), ("february", 150))]
    result = JobUnderTest(change.run).execute(folder=tmp_path, outputs=["change/month=2026-02"], inputs=inputs)

    assert result.error is None
    assert (tmp_path / "data/rolling/change/month=2026-02").read_text() == "-25.0%\n"


def test_workers_can_serve_totals(tmp_path: Path) -> None:
    JobUnderTest(total.run).check_worker(
        folder=tmp_path,
        outputs=["balance/date=2026-01-02"],
        inputs=[GivenInput(ref="one", metadata={"path": "one"})],
        prepare=lambda folder: (folder / "one").write_text("10\n"),
    )
