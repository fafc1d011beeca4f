"""Tests that the code digest action names everything among a program's runfiles, links included."""

from pathlib import Path

from rules.private.code_digest import code_digest


def test_the_digest_of_a_job_covers_its_program_and_all_links() -> None:
    data = "tests/rules/program_data.txt"
    program = "tests/rules/code_digest/program"
    expected = code_digest([(program, program), ("folder/link", data), ("../beside/link", data)])

    assert Path("tests/rules/code_digest/job.code_digest").read_text() == expected + "\n"
