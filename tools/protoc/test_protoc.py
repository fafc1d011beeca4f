"""Tests of the changes to generated files."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.protoc import protoc

SOURCE = """
syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Ref { string str = 1; google.protobuf.Timestamp time = 2; }
message Refs { repeated string all = 1; map<string, string> by_name = 2; string other = 3; }
"""


@pytest.fixture
def generate(tmp_path: Path) -> Callable[[str], str]:
    """Returns a function that generates code for a source and returns the text of the stub."""

    def generate(source: str) -> str:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "ref.proto").write_text(source)
        code: int = protoc.main(
            [f"-I{tmp_path}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"{tmp_path}/a/ref.proto"]
        )

        assert code == 0
        return (tmp_path / "a" / "ref_pb2.pyi").read_text()

    return generate


def test_a_field_named_str_does_not_hide_the_type(generate: Callable[[str], str]) -> None:
    stub = generate(SOURCE)

    annotations = [
        n.annotation for n in ast.walk(ast.parse(stub)) if isinstance(n, ast.AnnAssign | ast.arg) and n.annotation
    ]
    names = {n.id for annotation in annotations for n in ast.walk(annotation) if isinstance(n, ast.Name)}
    assert "_str" in names
    assert "str" not in names
    assert "    str: _str\n" in stub


def test_other_stubs_are_left_as_they_are(generate: Callable[[str], str]) -> None:
    assert "_str" not in generate(SOURCE.replace("string str", "string name"))


def test_modules_do_not_check_the_version_of_protobuf(generate: Callable[[str], str], tmp_path: Path) -> None:
    generate(SOURCE)
    module = (tmp_path / "a" / "ref_pb2.py").read_text()

    assert "AddSerializedFile" in module
    assert "runtime_version" not in module


def test_a_broken_source_fails(tmp_path: Path) -> None:
    (tmp_path / "x.proto").write_text("message {")

    assert protoc.main([f"-I{tmp_path}", f"--pyi_out={tmp_path}", f"{tmp_path}/x.proto"]) != 0
