"""Tests of the check of wording."""

from pathlib import Path

import pytest

from tools.lint.prose import odd_wording

PATH = Path("databuild/module.py")


def faults(text: str, path: Path = PATH) -> list[str]:
    return list(odd_wording([(path, text)]))


def test_plain_docstrings_and_comments_pass() -> None:
    docstring = '"""Limits of the service.\n\nHow they apply: see Limits.\n"""\n'

    assert faults(f'{docstring}# Where it is set, it counts. What is a ref?\nx = "Who?"\n') == []


@pytest.mark.parametrize("opening", ["How", "Takes", "That", "What", "Where", "Whether", "Who", "Whose"])
def test_a_docstring_that_opens_with_a_noun_clause_is_reported(opening: str) -> None:
    (fault,) = faults(f'x = 1\n\n\ndef f():\n    """{opening} it is."""\n')

    assert fault == f"databuild/module.py:5: the docstring opens with {opening!r}; name its subject or its effect"


def test_docstrings_of_modules_classes_and_attributes_are_checked() -> None:
    assert (
        len(faults('"""What it is."""\n\n\nclass C:\n    """Who it is."""\n\n    x = 1\n    """How it is."""\n')) == 3
    )


@pytest.mark.parametrize(
    "comment", ["# Who asks waits.\n", "# It ends. Who\n# asks waits.\n", "x = 1  # Who asks waits\n"]
)
def test_a_sentence_that_begins_with_a_noun_clause_is_reported(comment: str) -> None:
    (fault,) = faults(f"y = 1\n{comment}")

    assert fault == "databuild/module.py:2: a sentence begins with 'Who'; name its subject"


def test_comments_on_the_right_of_several_lines_are_separate() -> None:
    assert faults("xyz = 1  # It ends.\nx = 1  # People Who ask\n") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.sh", "#!/bin/sh\n# It ends.\n# What is left is removed.\nexit\n"),
        ("a.proto", "message M {\n  // Id. What is left\n  // is removed.\n}\n"),
        ("a.sql", "-- Rows.\n-- What is left is removed.\nSELECT 1;\n"),
        ("a.md", "# What is left\n\nText. More\ntext: What is left is removed.\n"),
    ],
)
def test_comments_of_other_languages_and_pages_are_checked(name: str, text: str) -> None:
    (fault,) = faults(text, Path(name))

    assert fault.endswith("a sentence begins with 'What'; name its subject")


def test_an_archaic_word_is_reported_once_per_text() -> None:
    (fault,) = faults('"""Reads anew. Writes anew."""\n')

    assert fault == "databuild/module.py:1: 'anew' is archaic; use a plain word"


def test_the_check_does_not_report_itself() -> None:
    assert faults("# Who asks waits.\n", Path("tools/lint/prose.py")) == []
