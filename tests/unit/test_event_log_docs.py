"""Checks that docs/architecture.md lists the statements that an event log on another database has to define."""

from __future__ import annotations

import re
from pathlib import Path

from databuild.event_log import queries

FOLDER = Path(queries.__file__).parent
PAGE = Path("docs/architecture.md").read_text("utf-8")


def sections(folder: Path) -> set[str]:
    return set(re.findall(r"^-- name: (\w+)$", (folder / "queries.sql").read_text("utf-8"), re.MULTILINE))


def test_the_page_lists_the_statements_of_another_database() -> None:
    of_both = sections(FOLDER / "sqlite") & sections(FOLDER / "postgresql")
    in_braces = set(re.findall(r"{(\w+)}", (FOLDER / "queries.sql").read_text("utf-8"))) - sections(FOLDER)
    shared_code = "".join(path.read_text("utf-8") for path in FOLDER.glob("*.py"))
    run_by_shared_code = {name for name in of_both - in_braces if f'"{name}"' in shared_code}

    (row,) = (line for line in PAGE.splitlines() if line.startswith("| `queries.sql` |"))
    listed = [set(re.findall(r"`(\w+)`", text)) for text in re.findall(r"\(([^)]*)\)", row)]

    assert in_braces <= of_both
    assert listed == [in_braces, run_by_shared_code]
