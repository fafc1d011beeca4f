"""The options of builds and plans."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest

from databuild.model.build_options import BuildKeywords, BuildOptions, PlanKeywords, PlanOptions
from databuild.v1 import events_pb2 as ev
from databuild.v1 import plan_pb2

EVERYTHING = BuildOptions(
    force=True,
    reuse_stale=True,
    keep_going=True,
    jobs=3,
    executor="dask://engine:1",
    log_store="s3://bucket/logs",
    verify="all",
)


@pytest.mark.parametrize("options", [BuildOptions(), EVERYTHING])
def test_build_options_survive_their_message(options: BuildOptions) -> None:
    assert BuildOptions.from_message(options.to_message()) == options


@pytest.mark.parametrize("options", [PlanOptions(), EVERYTHING.planning])
def test_plan_options_survive_their_message(options: PlanOptions) -> None:
    assert PlanOptions.from_message(options.to_message()) == options


def test_an_empty_message_has_the_defaults() -> None:
    assert BuildOptions.from_message(ev.BuildOptions()) == BuildOptions()
    assert PlanOptions.from_message(plan_pb2.PlanOptions()) == PlanOptions()


@pytest.mark.parametrize(("options", "message"), [(BuildOptions, ev.BuildOptions), (PlanOptions, plan_pb2.PlanOptions)])
def test_every_field_of_a_message_is_set_from_an_option(
    options: type[BuildOptions | PlanOptions], message: type[ev.BuildOptions | plan_pb2.PlanOptions]
) -> None:
    everything = EVERYTHING if options is BuildOptions else EVERYTHING.planning

    assert {field.name for field, _ in everything.to_message().ListFields()} == set(message.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(("options", "keywords"), [(BuildOptions, BuildKeywords), (PlanOptions, PlanKeywords)])
def test_the_client_takes_every_option_by_its_name_and_type(
    options: type[BuildOptions | PlanOptions], keywords: type[BuildKeywords | PlanKeywords]
) -> None:
    assert get_type_hints(keywords) == {name: get_type_hints(options)[name] for name in get_type_hints(options)}
    assert set(get_type_hints(keywords)) == set(options._fields)


def test_every_option_is_documented_for_the_client() -> None:
    document = Path("docs/client.md").read_text(encoding="utf-8")

    for name in BuildOptions._fields:
        mark = " *" if name in PlanOptions._fields else ""
        assert f"| `{name}`{mark} |" in document


def test_the_options_of_a_plan_replace_those_of_a_build() -> None:
    options = BuildOptions(force=True, keep_going=True, jobs=2).with_planning(PlanOptions(reuse_stale=True))

    assert options == BuildOptions(reuse_stale=True, keep_going=True, jobs=2)
    assert options.planning == PlanOptions(reuse_stale=True)


def test_differences_are_named() -> None:
    assert BuildOptions(jobs=1).differences(BuildOptions(jobs=2, force=True)) == ["force", "jobs"]
    assert EVERYTHING.differences(EVERYTHING) == []
