"""SQL statements by name, from `.sql` files.

A file is a list of sections. Each begins with a line `-- name: NAME`; other lines that begin with `--` are comments.
`{NAME}` in a section stands for the text of another section. Parameters are written `:NAME`. The sections of a database
come after those that all databases share, and replace sections of the same name.

Files are read when the first statement is needed, and a statement is assembled when it is first used: commands that
only read use few of them, and must start fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable


class Queries:
    """The statements of one database."""

    def __init__(self, folder: str, translate: Callable[[str], str] = str) -> None:
        """Reads nothing yet.

        Args:
            folder: The folder with the `queries.sql` of the database.
            translate: Returns a statement with the parameters in the syntax of the driver.
        """
        folders = (os.path.dirname(__file__), folder)  # noqa: PTH120
        self._paths = [os.path.join(path, "queries.sql") for path in folders]  # noqa: PTH118
        self._translate = translate
        self._sections: dict[str, str] = {}
        self._statements: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        """True if there is a section of this name."""
        return name in self._load()

    def __getitem__(self, name: str) -> str:
        """Returns a statement.

        Raises:
            KeyError: There is no section of this name.
        """
        statement = self._statements.get(name)
        if statement is None:
            statement = self._statements[name] = self.statement(self._load()[name])
        return statement

    def statement(self, text: str) -> str:
        """Returns a statement from text that is written like a section."""
        while "{" in text:
            text = text.format_map(self._load())
        return self._translate(text)

    def _load(self) -> dict[str, str]:
        if not self._sections:
            loaded: dict[str, str] = {}
            for path in self._paths:
                with open(path, encoding="utf-8") as file:  # noqa: PTH123
                    _, *sections = f"\n{file.read()}".split("\n-- name: ")
                for section in sections:
                    name, *lines = section.splitlines()
                    loaded[name] = "\n".join(line for line in lines if not line.startswith("--")).strip()
            self._sections = loaded  # in one assignment, since readers in other threads share this object
        return self._sections
