"""The commands `partitions forget`, `delete` and `clean`, on the state directory and with a service."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from databuild.cli.display.output import Output
from databuild.cli.main import run
from databuild.client import DatabuildClient
from databuild.errors import InvalidRequestError, UnknownPartitionError
from tests.support.script_graph import NUMBER, ScriptGraph

PLACE = (
    r"\"location\": {\"uri\": \"file://$PWD/data/number-$name\", \"size_bytes\": $(stat -c %s data/number-$name), "
    r"\"version\": \"$(stat -c %.9Y data/number-$name | tr -d .).$(stat -c %i data/number-$name)\"}"
)


@pytest.fixture
def graph(graph: ScriptGraph) -> ScriptGraph:
    """Returns a graph whose numbers report the locations of their files; two sums are built."""
    report = r"\"metadata\": {\"length\": ${#name}}"
    (graph.folder / "number").write_text(NUMBER.replace(report, f"{report}, {PLACE}"))
    graph("build", "sum/a_bb", "sum/bb_ccc")
    return graph


def data(graph: ScriptGraph, name: str) -> Path:
    return graph.folder / "data" / f"number-{name}"


class Terminal(io.StringIO):
    """A terminal at which somebody has typed an answer."""

    def isatty(self) -> bool:
        return True


def answer(graph: ScriptGraph, text: str, *args: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(graph.arguments(*args), out=Output(out), err=Output(err), environ=graph.environ, stdin=Terminal(text))
    return code, out.getvalue(), err.getvalue()


def test_forgotten_data_is_made_again(graph: ScriptGraph) -> None:
    code, out, _ = graph("partitions", "forget", "number/bb", "--reason=by hand", "--author=bob")

    assert (code, out) == (0, "forgot 1 partition; the next build that needs it rebuilds it\n")
    assert data(graph, "bb").exists()
    assert "removal  FORGOTTEN  number/bb  by bob  by hand" in graph("events", "--all")[1]
    record = graph.json("explain", "number/bb")[1]["record"]
    assert (record["status"], record["available"]) == ("FORGOTTEN", False)
    assert (record["removal"]["author"], record["removal"]["reason"]) == ("bob", "by hand")
    explained = graph("explain", "number/bb")[1]
    assert re.search(r"^removed    \S+ \S+ UTC by bob: by hand$", explained, re.MULTILINE)
    assert re.search(r"^number/bb +FORGOTTEN +\S+ \S+ +no$", graph("partitions", "number/bb")[1], re.MULTILINE)
    assert re.search(r"^status     FORGOTTEN since \S+ \S+ UTC$", explained, re.MULTILINE)  # in no build
    assert "input changed: number/bb" in graph("explain", "sum/a_bb")[1]
    assert "forgotten: by hand" in graph("plan", "sum/a_bb")[1]
    assert graph("partitions", "forget", "number/bb", "--reason=again")[1].startswith("forgot nothing: ")
    assert graph("build", "sum/a_bb")[0] == 0
    assert graph.json("partitions", "--status=FORGOTTEN")[1]["partitions"] == []
    assert graph("events", "verify")[0] == 0


def test_deleted_data_is_made_again_only_if_it_is_asked_for(graph: ScriptGraph) -> None:
    code, listed = graph.json("partitions", "delete", "number/{name}", "--dry_run")
    assert (code, [(one["ref"], one["size"], one["fault"]) for one in listed["data"]]) == (
        0,
        [("number/a", 2, ""), ("number/bb", 2, ""), ("number/ccc", 2, "")],
    )
    code, out, _ = graph("partitions", "delete", "number/{name}", "--reason=old", "--yes")

    assert (code, out) == (0, "deleted the data of 3 partitions, 6 B\n")
    assert not list((graph.folder / "data").glob("number*"))
    assert graph.json("partitions")[1]["counts"] == {"AVAILABLE": 2, "DELETED": 3}
    assert graph("build", "sum/a_bb", "sum/bb_ccc")[0] == 0
    assert not data(graph, "bb").exists()
    assert "would make it (deleted)" in graph("explain", "number/bb")[1]
    assert graph("build", "number/bb")[0] == 0
    assert data(graph, "bb").exists()
    assert graph("partitions", "delete", "number/a", "--reason=old", "--yes")[1].startswith("nothing to delete: ")
    assert graph("events", "verify")[0] == 0


def test_a_person_is_asked(graph: ScriptGraph) -> None:
    code, _, err = answer(graph, "no\n", "partitions", "delete", "number/a", "--reason=old")
    assert code == 1
    assert f"delete   number/a  {data(graph, 'a').as_uri()}  2 B\n" in err
    assert "Delete the data of 1 partition, 2 B? Type yes to delete: " in err
    assert err.endswith("databuild: nothing was deleted\n")
    assert data(graph, "a").exists()

    assert answer(graph, "yes\n", "partitions", "delete", "number/a", "--reason=old")[:2] == (
        0,
        "deleted the data of 1 partition, 2 B\n",
    )
    assert not data(graph, "a").exists()


def test_nothing_is_deleted_if_something_cannot_be(graph: ScriptGraph) -> None:
    data(graph, "a").write_text("changed\n")
    code, out, _ = graph("partitions", "delete", "number/a", "number/bb", "sum/a_bb", "--reason=old", "--yes")

    assert code == 1
    assert "refused  number/a  " in out
    assert "was changed since it was made; `force` deletes it\n" in out
    assert "refused  sum/a_bb: no job has reported its location" in out
    assert out.endswith("2 partitions cannot be deleted, so nothing was deleted; leave them out\n")
    assert data(graph, "bb").exists()
    assert graph("partitions", "delete", "number/a", "--reason=old", "--yes", "--force")[0] == 0
    assert not data(graph, "a").exists()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["forget"], "takes at least one REF"),
        (["forget", "number/a"], "needs --reason=TEXT"),
        (["delete", "--yes", "--reason=old"], "takes at least one REF"),
        (["delete", "number/a", "--yes"], "needs --reason=TEXT"),
        (["delete", "number/a", "--reason=old"], "it needs --yes"),
        (["delete", "other/a", "--reason=old", "--yes"], "other/a"),
        (["clean", "number/a"], "takes only flags"),
    ],
)
def test_misuse_is_explained(graph: ScriptGraph, arguments: list[str], fault: str) -> None:
    code, _, err = graph("partitions", *arguments)

    assert code == 2
    assert fault in err
    assert data(graph, "a").exists()


def test_a_prefix_may_be_a_word(graph: ScriptGraph) -> None:
    assert graph("partitions", "clean/")[:2] == (0, "no partitions\n")


def retain(graph: ScriptGraph) -> None:
    graph.jobs[0]["retentionSeconds"] = 0.000001
    graph.write_catalog()


def test_old_data_is_cleaned_up(graph: ScriptGraph) -> None:
    graph("build", "number/dddd")
    retain(graph)
    code, out, _ = graph("partitions", "clean", "--dry_run")
    listed, summary = out.splitlines()
    assert (code, listed) == (0, f"delete   number/dddd  {data(graph, 'dddd').as_uri()}  2 B")
    assert summary == (
        "would delete the data of 1 partition, 2 B; kept 3 partitions from which available ones were made "
        "(--delete_inputs deletes them)"
    )
    assert graph("partitions", "clean")[1].startswith("deleted the data of 1 partition, 2 B; kept 3 partitions ")
    assert not data(graph, "dddd").exists()
    code, result = graph.json("partitions", "clean", "--delete_inputs", "--author=bob")

    assert (code, result["deleted"], result["kept"]) == (0, 3, 0)
    assert graph("build", "sum/a_bb", "sum/bb_ccc")[0] == 0
    assert not data(graph, "a").exists()
    removal = graph.json("explain", "number/a")[1]["record"]["removal"]
    assert (removal["author"], removal["reason"]) == ("bob", "older than the retention of its job")


def test_a_service_does_the_same(graph: ScriptGraph) -> None:
    graph("build", "number/dddd", "number/eeeee")
    retain(graph)
    served = graph.serve()
    server = f"--server={served.addresses['grpc']}"
    with DatabuildClient(served.addresses["grpc"], author="ann") as client:
        forgotten = client.forget(["number/dddd"], reason="by hand")
        listed = client.delete(["number/a", "number/bb"], dry_run=True)
        done = client.delete(["number/a"], reason="old")
        record = client.partition("number/a").record
        with pytest.raises(InvalidRequestError, match="no reason"):
            client.delete(["number/bb"])
        with pytest.raises(InvalidRequestError, match="no partitions"):
            client.forget([], reason="x")
        with pytest.raises(UnknownPartitionError):
            client.delete(["other/x"], reason="old")
        would = client.clean(dry_run=True)
        cleaned = client.clean()

    assert (forgotten.partitions, forgotten.author, len(forgotten.operation_ids)) == (("number/dddd",), "ann", 1)
    assert ([one.ref for one in listed.data], listed.bytes) == (["number/a", "number/bb"], 4)
    assert ([one.ref for one in done.removed], done.author) == (["number/a"], "ann")
    assert not data(graph, "a").exists()
    assert record is not None
    assert record.removal is not None
    assert (record.status, record.location, record.removal.reason) == ("DELETED", None, "old")
    assert (would.deleted, would.kept) == (cleaned.deleted, cleaned.kept) == (1, 2)
    assert [one.ref for one in cleaned.data] == ["number/eeeee"]
    assert graph("partitions", "delete", "number/bb", "--reason=old", "--yes", server)[:2] == (
        0,
        "deleted the data of 1 partition, 2 B\n",
    )
    assert graph("partitions", "forget", "number/ccc", "--reason=old", server)[0] == 0
    assert graph("partitions", "clean", "--dry_run", server)[0] == 0
    status, answered = served.ask("POST", "/api/v1/deletions", {"partitions": ["sum/a_bb"], "dry_run": True})
    assert status == 200
    assert "no job has reported its location" in answered["data"][0]["fault"]
    assert served.ask("POST", "/api/v1/forgettings", {"partitions": ["sum/a_bb"], "reason": "old"})[0] == 200
    assert served.ask("POST", "/api/v1/cleanings", {"dry_run": True})[1]["deleted"] == "0"
    assert graph("events", "verify")[0] == 0
