"""Refs pass unchanged through every URL, and texts that are no refs are refused."""

from __future__ import annotations

import pytest

from tests.support.served import Served, error_of

STRANGE_REFS = [
    "raw/a/b",
    "raw/%2F%25",
    "raw/a?b=c&d",
    "raw/a#b",
    "raw/ü→𝄞",
    "raw/a+b;c,d",
    "raw/..x",
    "raw/'\"<script>",
    "raw/\\",
]


@pytest.mark.parametrize("ref", ["raw/..", "raw/a/../../b", "raw/a//b", "raw/", "raw/cafe\u0301"])
async def test_a_ref_with_another_spelling_is_refused_wherever_one_is_named(served: Served, ref: str) -> None:
    answers = [
        await served.get("/partition", ref=ref),
        await served.get("/partition/explanation", ref=ref),
        await served.get("/partition/lineage", ref=ref),
        await served.get("/partition/lineage", ref=ref, direction="DOWNSTREAM"),
        await served.post("/plans", {"partitions": [ref]}),
        await served.post("/builds", {"partitions": [ref]}),
        await served.post("/taints", {"partitions": [ref]}),
    ]

    assert [answer.status_code for answer in answers] == [400] * len(answers)
    messages = [answer.json()["error"]["message"] for answer in answers]
    assert [message for message in messages if "is not a partition ref" not in message] == []


@pytest.mark.parametrize("ref", STRANGE_REFS)
async def test_a_ref_survives_every_address_whatever_is_in_it(served: Served, ref: str) -> None:
    build = await served.build(ref)
    clean = ref.replace("raw/", "clean/")
    await served.build(clean)

    detail = (await served.get("/partition", ref=ref)).json()
    explained = (await served.get("/partition/explanation", ref=ref)).json()
    lineage = (await served.get("/partition/lineage", ref=clean)).json()
    found = (await served.get("/partitions", prefix=ref, contains=ref)).json()
    tainted = (await served.post("/taints", {"partitions": [ref], "reason": ref})).json()
    summary = (await served.get(f"/builds/{build}")).json()

    assert (detail["ref"], detail["record"]["ref"], detail["job_label"]) == (ref, ref, "//:raw")
    assert explained["planned"]["reason"] == "REASON_UP_TO_DATE"
    assert [(edge["input"], edge["output"]) for edge in lineage["edges"]] == [(ref, clean)]
    assert [record["ref"] for record in found["partitions"]] == [ref]
    assert tainted["partitions"] == [ref]
    assert (await served.get("/partition", ref=ref)).json()["record"]["taint_reason"] == f"anonymous: {ref}"
    assert summary["requested"] == [{"str": ref}]


@pytest.mark.parametrize("ref", ["raw/a b", "raw/a\nb", "raw/\x00", "raw/\t", "", "-raw", "raw/" + "x" * 2000])
async def test_invalid_refs_are_refused_in_the_one_shape_of_errors(served: Served, ref: str) -> None:
    assert error_of(await served.get("/partition", ref=ref)) == (400, "INVALID_REQUEST")
    if ref:
        assert error_of(await served.post("/builds", {"partitions": [ref]})) == (400, "INVALID_REQUEST")
