"""`action.yml` is a valid composite action: what it names exists, and nothing of it is unused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

FOLDER: Final = Path("integrations/github")
TEXT: Final = (FOLDER / "action.yml").read_text()
ACTION: Final[dict[str, Any]] = yaml.safe_load(TEXT)
STEPS: Final[list[dict[str, Any]]] = ACTION["runs"]["steps"]
SCRIPTS: Final = {step["id"]: step["run"] for step in STEPS if "run" in step}
EXPRESSIONS: Final[list[str]] = re.findall(r"\$\{\{(.*?)\}\}", TEXT)


def source(step: str) -> str:
    """Returns the script of a step, with the module that it shares with the others."""
    found = re.fullmatch(r'python3 "\$GITHUB_ACTION_PATH/(\w+\.py)"', SCRIPTS[step])
    assert found, SCRIPTS[step]
    return (FOLDER / found[1]).read_text() + (FOLDER / "workflow.py").read_text()


def test_the_fields_are_those_of_a_composite_action() -> None:
    assert set(ACTION) == {"name", "description", "branding", "inputs", "outputs", "runs"}
    assert set(ACTION["runs"]) == {"using", "steps"}
    assert ACTION["runs"]["using"] == "composite"
    for declared in ACTION["inputs"].values():
        assert {"description"} <= set(declared) <= {"description", "required", "default"}
        # GitHub passes inputs as text; YAML would read true and 1 as something else.
        assert isinstance(declared.get("default", ""), str)
        assert ("default" in declared) != declared.get("required", False)
    for declared in ACTION["outputs"].values():
        assert set(declared) == {"description", "value"}
    for step in STEPS:
        if "run" in step:
            assert set(step) == {"name", "id", "if", "shell", "working-directory", "env", "run"}
        else:
            assert set(step) == {"name", "if", "uses", "with"}
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])


def test_every_input_is_used_and_every_used_input_is_declared() -> None:
    used = {name for expression in EXPRESSIONS for name in re.findall(r"inputs\.([\w-]+)", expression)}
    assert used == set(ACTION["inputs"])


def test_expressions_name_only_what_the_documentation_has() -> None:
    for expression in EXPRESSIONS:
        for name in re.findall(r"\b[a-z]+\.[\w.-]+", re.sub(r"'[^']*'", "", expression)):
            assert re.fullmatch(r"inputs\.[\w-]+|github\.(token|event_name)|steps\.(plan|build)\.outputs\.[\w-]+", name)


@pytest.mark.parametrize("step", SCRIPTS)
def test_a_step_gets_exactly_the_variables_that_its_script_reads(step: str) -> None:
    [variables] = [set(declared["env"]) for declared in STEPS if declared.get("id") == step]
    read = set(re.findall(r"""\.(?:text|words)\(["'](\w+)["']\)""", source(step)))
    assert variables == {f"DATABUILD_ACTION_{name}" for name in read}


@pytest.mark.parametrize("step", SCRIPTS)
def test_a_step_sets_the_outputs_that_are_read(step: str) -> None:
    read = {name for expression in EXPRESSIONS for name in re.findall(rf"steps\.{step}\.outputs\.([\w-]+)", expression)}
    # In the scripts, only outputs have names with dashes before a colon; others are one of these words.
    names = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)": ', source(step)))
    assert {name for name in names if "-" in name} | (names & {"page", "reports", "status", "tasks"}) == read


def test_no_expression_is_part_of_a_script() -> None:
    """An input in the text of a script would be run as code."""
    assert all("${{" not in script for script in SCRIPTS.values())
