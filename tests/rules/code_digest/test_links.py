"""Tests that the code digest action names everything among a program's runfiles, links included."""

from pathlib import Path

from rules.private.code_digest import File, Program, code_digest


def test_the_digest_of_a_job_covers_its_program_and_all_links() -> None:
    data = "tests/rules/program_data.txt"
    path = "tests/rules/code_digest/program"
    program = Program(label="", executable=path, environment={}, package="tests/rules/code_digest")
    files = [
        File(path, path, "generated"),
        File("folder/link", data, "source"),
        File("../beside/link", data, "source"),
    ]

    assert Path("tests/rules/code_digest/job.code_digest").read_text() == code_digest(program, files) + "\n"
