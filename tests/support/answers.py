"""Answers to operations on partitions, plans and environments, in the same form for all ways to ask for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

Answer: TypeAlias = dict[str, object]
"""An answer, of which only the parts are left that all ways give."""


def removal_answer(document: Mapping[str, Any]) -> Answer:
    """Returns the answer about data that is removed or verified, from the JSON of the command line or of the API."""
    data = document.get("data", ())
    findings = document.get("findings", ())
    numbers = {name: int(document.get(name, 0)) for name in ("deleted", "kept", "refused", "checked")}
    return {
        **numbers,
        "partitions": list(document.get("partitions", ())),
        "data": [(one["ref"], int(one.get("size", one.get("size_bytes", 0))), one.get("fault", "")) for one in data],
        "findings": [(one["ref"], one["kind"].removeprefix("KIND_").lower()) for one in findings],
    }


def plan_answer(document: Mapping[str, Any]) -> Answer:
    """Returns the tasks' partitions with their reasons and causes, and the partitions that are kept with theirs."""
    considered = [
        (bool(one.get("task_id")), one["ref"], one["reason"].removeprefix("REASON_"), one.get("cause", ""))
        for one in document.get("partitions", ())
    ]
    return {
        "built": [facts for builds, *facts in considered if builds],
        "kept": [facts for builds, *facts in considered if not builds],
    }


def comparison_answer(comparisons: list[Mapping[str, Any]]) -> Answer:
    """Returns the status of each compared partition, and its differences as subject, value in the base, and here."""
    return {
        one["ref"]: (
            one["status"],
            one["job_label"],
            [
                (difference["subject"], difference.get("base"), difference.get("environment"))
                for difference in one.get("differences", ())
            ],
        )
        for one in comparisons
    }


def promotion_answer(document: Mapping[str, Any]) -> Answer:
    return {
        "promoted": list(document.get("promoted", ())),
        "left_out": dict(document.get("left_out", {})),
        "author": document.get("author", ""),
    }


def environment_removal_answer(document: Mapping[str, Any], folder: str) -> Answer:
    """Returns the URIs of the data that was deleted, and of what was kept with the reasons, relative to a folder."""
    left = {"deleted": list(document.get("deleted", ())), "kept": dict(document.get("kept", {}))}
    relative: Answer = json.loads(json.dumps(left).replace(f"file://{folder}/", ""))
    return relative


def environments_answer(environments: list[Mapping[str, Any]]) -> Answer:
    """Returns the numbers of builds and of partitions of each environment."""
    return {one["name"]: (int(one.get("builds", 0)), int(one.get("partitions", 0))) for one in environments}
