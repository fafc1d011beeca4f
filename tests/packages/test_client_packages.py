"""The client works with the oldest and the newest packages that it supports, and `deps` decides which it uses."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from importlib import metadata

import pytest

from tests.support.script_graph import ScriptGraph, ServedGraph

OLDEST = {"protobuf": "4.25.0", "grpcio": "1.60.0"}
NEWEST = {name: metadata.version(name) for name in ("protobuf", "grpcio")}

# The expected packages of each program, which BUILD.bazel names in the environment.
PROGRAMS = {
    "CLIENT": NEWEST,
    "CLIENT_WITHOUT_PACKAGES": OLDEST,
    "CLIENT_BEHIND_OTHER_PACKAGES": OLDEST,
    "CLIENT_BEFORE_OTHER_PACKAGES": NEWEST,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedGraph]:
    graph = ScriptGraph(tmp_path_factory.mktemp("graph"))
    yield graph.serve()
    graph.close()


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_client_works_with_the_packages_of_its_program(program: str, service: ServedGraph) -> None:
    command = [os.environ[program], service.addresses["grpc"]]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)

    assert (done.stderr, done.returncode) == ("", 0)
    told = json.loads(done.stdout)
    assert {name: told.pop(name) for name in ("protobuf", "grpcio")} == PROGRAMS[program]
    assert told.pop("events") > 5
    assert told == {
        "result": "Success",
        "failed": "FailFast",
        "status": "FAILED",
        "plan": ["number/two"],
        "partitions": ["number/one"],
        "explanation": "number/one",
        "log": "making one\n",
        "error": "nothing/1",
        "async": ["Success", "COMPLETED"],
    }
