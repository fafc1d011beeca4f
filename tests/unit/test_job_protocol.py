"""The fast reader of `JOB config` output, compared with the reader of protobuf."""

from __future__ import annotations

import hashlib
import json

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.errors import JobConfigurationError
from databuild.graph.config_comparison import configuration_digest, digest_in_slices
from databuild.graph.job_protocol import configs_of_response, parse_configure_response
from databuild.model.job_graph import JobConfig
from databuild.model.pacing import SLICE, run_through
from databuild.v1 import job_pb2


def parse(value: object) -> list[JobConfig]:
    printed = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse_configure_response(printed, job_label="//:j", refs=["p", "q"])


def with_dep(**dep: object) -> dict[str, object]:
    return {"configs": [{"outputs": [{"str": "p"}], "inputs": [{"partition_ref": {"str": "i"}, **dep}]}]}


def test_a_job_of_the_older_databuild_is_understood() -> None:
    answer = {
        "configs": [
            {
                "outputs": [{"str": "p"}],
                "inputs": [
                    {"dep_type_code": "MATERIALIZE", "dep_type_name": "materialize", "partition_ref": {"str": "m"}},
                    {"dep_type_code": 0, "dep_type_name": "query", "partition_ref": {"str": "q"}},
                ],
                "args": ["a"],
                "env": {"B": "2", "A": "1"},
            }
        ]
    }

    assert parse(answer) == [JobConfig(("p",), ("m",), ("q",), ("a",), (("A", "1"), ("B", "2")))]


def test_refs_that_are_named_twice_are_there_once() -> None:
    (config,) = parse({"configs": [{"outputs": [{"str": "p"}, {"str": "q"}, {"str": "p"}]}]})

    assert config.outputs == ("p", "q")


def test_any_character_that_a_process_can_be_given_may_be_escaped() -> None:
    (config,) = parse(
        rb'{"configs": [{"outputs": [{"str": "p"}], "args": ["\u00e9 \ud83d\ude00\n"], "env": {"A": "\u0001"}}]}'
    )

    assert config.args == ("é \N{GRINNING FACE}\n",)
    assert config.env == (("A", "\x01"),)


@pytest.mark.parametrize(
    ("dep", "materialize"),
    [
        ({}, False),
        ({"dep_type_code": "QUERY"}, False),
        ({"dep_type_code": 1}, True),
        ({"depTypeCode": "MATERIALIZE"}, True),
        ({"dep_type_name": "Materialize"}, True),
        ({"depTypeName": "query"}, False),
    ],
)
def test_a_dep_type_is_a_code_a_number_a_name_or_the_default(dep: dict[str, object], materialize: bool) -> None:
    (config,) = parse(with_dep(**dep))

    assert (config.materialize == ("i",)) == materialize
    assert (config.query == ("i",)) != materialize


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "printed nothing"),
        (b"Traceback: oh no", "oh no"),
        (b"[]", "list"),
        ({"config": []}, "unknown field 'config'"),
        ({"configs": {}}, None),
        ({"configs": 3}, "not a list"),
        ({"configs": [3]}, r"configs\[0\]"),
        ({"configs": [{"outputs": []}]}, "at least one"),
        ({"configs": [{"outputs": [{"str": ""}]}]}, "not a partition ref"),
        ({"configs": [{"outputs": ["p"]}]}, "not a partition ref"),
        ({"configs": [{"outputs": [{"str": "p"}], "argv": []}]}, "argv"),
        ({"configs": [{"outputs": [{"str": "p"}], "args": [1]}]}, "args"),
        ({"configs": [{"outputs": [{"str": "p"}], "env": {"A": 1}}]}, "env"),
        ({"configs": [{"outputs": [{"str": "p"}], "inputs": 1}]}, "inputs"),
        ({"configs": [{"outputs": [{"str": "p"}], "inputs": [1]}]}, "inputs"),
        (with_dep(dep_type_code="BUILD"), "neither QUERY nor MATERIALIZE"),
        (with_dep(dep_type_name="build"), "neither QUERY nor MATERIALIZE"),
        (with_dep(dep_type_code=1, dep_type_name="query"), "dep_type_name is"),
        (with_dep(kind="x"), "unknown field 'kind'"),
        (with_dep(partition_ref={"str": "a b"}), "not a partition ref"),
        ({"configs": [{"outputs": [{"str": "a\ud800"}]}]}, "not a partition ref"),
        ({"configs": [{"outputs": [{"str": "p"}], "args": ["a\0"]}]}, "a process cannot have"),
        ({"configs": [{"outputs": [{"str": "p"}], "args": ["a\ud800"]}]}, "a process cannot have"),
        ({"configs": [{"outputs": [{"str": "p"}], "env": {"A": "a\0"}}]}, "a process cannot have"),
        ({"configs": [{"outputs": [{"str": "p"}], "env": {"A\ud800": ""}}]}, "a process cannot have"),
        ({"configs": [{"outputs": [{"str": "p"}], "env": {"A=B": ""}}]}, "name of an environment variable"),
        ({"configs": [{"outputs": [{"str": "p"}], "env": {"": "a"}}]}, "name of an environment variable"),
        (b"[" * 100_000, "not a JobConfigureResponse"),
        (b'{"configs": [{"outputs": [{"str": "\xed\xa0\x80"}]}]}', "not a JobConfigureResponse"),
    ],
)
def test_an_unreadable_answer_names_the_job_and_the_fault(answer: object, said: str | None) -> None:
    if said is None:
        assert parse(answer) == []
        return
    with pytest.raises(JobConfigurationError, match=said) as error:
        parse(answer)
    assert "//:j" in str(error.value)
    assert "'p' and 1 more" in str(error.value)


REFS = st.text("abc/=", min_size=1, max_size=5)
NAMES = st.text("abc/_", min_size=1, max_size=5)
TEXTS = st.text('aé"\\ \n', max_size=4)


@st.composite
def responses(draw: st.DrawFn) -> job_pb2.JobConfigureResponse:
    configs = [
        job_pb2.JobConfig(
            outputs=[{"str": ref} for ref in draw(st.lists(REFS, min_size=1, max_size=3, unique=True))],
            inputs=[
                job_pb2.DataDep(
                    dep_type_code=draw(st.sampled_from([job_pb2.QUERY, job_pb2.MATERIALIZE])),
                    partition_ref={"str": ref},
                )
                for ref in draw(st.lists(REFS, max_size=3, unique=True))
            ],
            args=draw(st.lists(TEXTS, max_size=3)),
            env=draw(st.dictionaries(NAMES, TEXTS, max_size=2)),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return job_pb2.JobConfigureResponse(configs=configs)


@given(responses(), st.booleans())
@settings(deadline=None)
def test_answers_are_read_as_protobuf_reads_them(response: job_pb2.JobConfigureResponse, preserving: bool) -> None:
    printed = json_format.MessageToJson(response, preserving_proto_field_name=preserving)

    parsed = parse(printed.encode())

    assert len(parsed) == len(response.configs)
    for config, message in zip(parsed, response.configs, strict=True):
        assert config.outputs == tuple(output.str for output in message.outputs)
        by_type = [tuple(d.partition_ref.str for d in message.inputs if d.dep_type_code == code) for code in (1, 0)]
        assert [config.materialize, config.query] == by_type
        assert config.args == tuple(message.args)
        assert dict(config.env) == dict(message.env)


def test_the_digest_of_a_configuration_minds_what_changes_a_run_only() -> None:
    base = JobConfig(("p",), ("a", "b"), ("q",), ("1", "2"), (("A", "1"),))

    assert configuration_digest(base) == configuration_digest(base._replace(materialize=("b", "a")))
    for change in ({"args": ("2", "1")}, {"env": (("A", "2"),)}, {"materialize": ("a",)}, {"query": ()}):
        assert configuration_digest(base) != configuration_digest(base._replace(**change))


@pytest.mark.parametrize("prefixes", [(), ("votes/", "räw/")])
@pytest.mark.parametrize("count", [0, 1, 3 * SLICE])
def test_the_digest_of_a_configuration_is_that_of_its_json(count: int, prefixes: tuple[str, ...]) -> None:
    many = tuple(f"in/{number}" for number in range(count))
    for materialize, query in ((many, ()), ((), many), (many, many)):
        config = JobConfig(("p",), materialize, query, ("1", 'ä"'), (("A", "1"),), prefixes)
        parts = [config.args, config.env, sorted(materialize), sorted(query), *([sorted(prefixes)] if prefixes else [])]
        expected = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()[:32]

        assert configuration_digest(config) == run_through(digest_in_slices(config)) == expected


def test_reading_an_answer_that_nobody_wants_any_more_stops() -> None:
    with pytest.raises(JobConfigurationError, match="was cancelled"):
        parse_configure_response(b'{"configs": [{}]}', job_label="//:j", cancelled=lambda: True)

    assert parse_configure_response(b'{"configs": []}', job_label="//:j", cancelled=lambda: False) == []


NFD = {"str": "e\u0301"}


@pytest.mark.parametrize(
    "config",
    [{"outputs": [NFD]}, {"outputs": [{"str": "p"}], "inputs": [{"partition_ref": NFD, "dep_type_code": "QUERY"}]}],
)
def test_a_ref_in_another_unicode_form_is_refused_in_outputs_and_inputs(config: dict[str, object]) -> None:
    with pytest.raises(JobConfigurationError, match=r"normalization form C.*\\xe9"):
        parse({"configs": [config]})


def response_of(printed: str) -> job_pb2.JobConfigureResponse:
    return json_format.Parse(printed, job_pb2.JobConfigureResponse())


@pytest.mark.parametrize(
    "printed",
    [
        '{"configs": [{"outputs": [{"str": "a/1"}]}]}',
        '{"configs": [{"outputs": [{"str": "a/ä"}], "args": ["ä", "\\n"]}]}',
        (
            '{"configs": [{"outputs": [{"str": "a/1"}, {"str": "a/2"}, {"str": "a/1"}], "args": ["x", ""], "inputs": '
            '[{"dep_type_code": 1, "partition_ref": {"str": "r/1"}}, '
            '{"dep_type_code": 1, "partition_ref": {"str": "r/1"}}]}, {"outputs": [{"str": "a/3"}]}]}'
        ),
        (
            '{"configs": [{"outputs": [{"str": "a/1"}, {"str": "a/1"}], "args": ["x", ""], '
            '"env": {"B": "2", "A": "1"}, '
            '"inputs": [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": "r/1"}}, '
            '{"dep_type_name": "materialize", "partition_ref": {"str": "r/2"}}, {"partition_ref": {"str": "q/1"}}, '
            '{"dep_type_code": "QUERY", "dep_type_name": "query", "partition_ref": {"str": "q/2"}}]}]}'
        ),
    ],
)
def test_the_answer_of_a_worker_is_that_of_a_process(printed: str) -> None:
    assert configs_of_response(response_of(printed), job_label="//:j") == parse_configure_response(
        printed.encode(), job_label="//:j"
    )


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ('{"configs": [{}]}', r"configs\[0\].outputs needs at least one partition"),
        ('{"configs": [{"outputs": [{}]}]}', "is not a partition ref"),
        ('{"configs": [{"outputs": [{"str": "a b"}]}]}', "a b"),
        ('{"configs": [{"outputs": [{"str": "a/1"}], "env": {"A=B": "1"}}]}', "'A=B' is not a valid name"),
        ('{"configs": [{"outputs": [{"str": "a/1"}], "args": ["\\u0000"]}]}', "a process cannot have"),
        (
            (
                '{"configs": [{"outputs": [{"str": "a/1"}], "inputs": '
                '[{"dep_type_name": "later", "partition_ref": {"str": "r/1"}}]}]}'
            ),
            "'later' is neither QUERY nor MATERIALIZE",
        ),
        (
            (
                '{"configs": [{"outputs": [{"str": "a/1"}], "inputs": '
                '[{"dep_type_code": 1, "dep_type_name": "query", "partition_ref": {"str": "r/1"}}]}]}'
            ),
            "dep_type_name is 'query'",
        ),
    ],
)
def test_a_wrong_answer_of_a_worker_is_refused(printed: str, message: str) -> None:
    with pytest.raises(JobConfigurationError, match=message):
        configs_of_response(response_of(printed), job_label="//:j", refs=["a/1"])


def test_the_conversion_of_an_answer_stops_when_it_is_cancelled() -> None:
    with pytest.raises(JobConfigurationError, match="cancelled"):
        configs_of_response(
            response_of('{"configs": [{"outputs": [{"str": "a/1"}]}]}'), job_label="//:j", cancelled=lambda: True
        )
