"""Renders the documentation of the rules as Markdown: render_rules.py MODULE_INFO...

MODULE_INFO is what Bazel's starlark_doc_extract writes as text: a `stardoc_output.ModuleInfo`
(src/main/protobuf/stardoc_output.proto in Bazel's source).
"""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_HEADER = """\
# The rules

<!-- Generated from the rules by `bazel run //docs:update`. -->

This page lists every attribute of the rules, with examples to copy. [Writing graphs](writing_graphs.md) explains how to
use them together, [Writing jobs](writing_jobs.md) describes the programs of jobs, and [SQL jobs](sql_jobs.md) those of
one SELECT.

```starlark
load("@databuild//rules:defs.bzl", "databuild_graph", "databuild_graph_test", "databuild_job")
load("@databuild//rules:duckdb.bzl", "databuild_duckdb_job", "databuild_duckdb_test")
```
"""
_ORDER = (
    "databuild_job",
    "databuild_graph",
    "databuild_graph_test",
    "databuild_duckdb_job",
    "databuild_duckdb_test",
    "DataBuildJobInfo",
    "DataBuildGraphInfo",
)

# A message: the values of each field, in order.
Message = dict[str, list[Any]]


def parse(lines: Iterator[str]) -> Message:
    """Parses a message in protobuf's text format, as Bazel prints it: one field, or one brace, on a line."""
    message: Message = {}
    for line in lines:
        text = line.strip()
        if text == "}":
            break
        if text.endswith("{"):
            message.setdefault(text[:-1].strip(), []).append(parse(lines))
        elif text:
            name, _, value = text.partition(":")
            message.setdefault(name, []).append(_scalar(value.strip()))
    return message


def render(modules: Iterable[Message]) -> str:
    """Returns the Markdown of modules."""
    sections = {}
    for module in modules:
        for info in module.get("rule_info", []):
            sections[_text(info, "rule_name")] = _rule(info)
        for info in module.get("func_info", []):
            sections[_text(info, "function_name")] = _function(info)
        for info in module.get("provider_info", []):
            sections[_text(info, "provider_name")] = _provider(info)
    known = [name for name in _ORDER if name in sections]
    return "\n".join([_HEADER, *(sections[name] for name in [*known, *sorted(set(sections) - set(known))])])


def _scalar(value: str) -> Any:
    if not value.startswith('"'):
        return value
    return ast.literal_eval("b" + value.replace("\\'", "'")).decode()


def _text(message: Message, field: str) -> str:
    return inspect.cleandoc(message.get(field, [""])[0])


def _section(name: str, doc: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    table = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join([f"## {name}", "", doc, "", *(f"| {' | '.join(row)} |" for row in table), ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`"


def _rule(info: Message) -> str:
    rows = [
        (_code(_text(attribute, "name")), _cell(_text(attribute, "doc_string")), _default(attribute))
        for attribute in info.get("attribute", [])
    ]
    rows.sort(key=lambda row: (row[0] != "`name`", row[2] != "required", row[0]))
    return _section(_text(info, "rule_name"), _text(info, "doc_string"), ("Attribute", "Meaning", "Default"), rows)


def _function(info: Message) -> str:
    rows = [
        (_code(_text(parameter, "name")), _cell(_text(parameter, "doc_string")), _default(parameter))
        for parameter in info.get("parameter", [])
    ]
    return _section(_text(info, "function_name"), _text(info, "doc_string"), ("Attribute", "Meaning", "Default"), rows)


def _provider(info: Message) -> str:
    rows = [(_code(_text(field, "name")), _cell(_text(field, "doc_string"))) for field in info.get("field_info", [])]
    return _section(_text(info, "provider_name"), _text(info, "doc_string"), ("Field", "Meaning"), rows)


def _default(attribute: Message) -> str:
    if _text(attribute, "mandatory") == "true":
        return "required"
    default = _text(attribute, "default_value")
    return _code(default) if default else ""


if __name__ == "__main__":
    sys.stdout.write(render(parse(iter(Path(path).read_text().splitlines())) for path in sys.argv[1:]))
