"""Publication of objects in a real S3 server: runs that are paused at any step, and stores without conditions."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from databuild.job import OvertakenError, Run
from databuild.job.object_publishing import ObjectChangedError, S3Objects, publish_object
from tests.engines.s3 import S3Server
from tests.support.present import present
from tools.python import child

STEPS = ("probe", "head", "put")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environ.items():
            patch.setenv(name, value)
        yield server


class PausedObjects(S3Objects):
    """Does something else once, right before one of its requests."""

    def __init__(self, step: str, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._step = step
        self._meanwhile = meanwhile

    def head(self, bucket: str, key: str) -> tuple[str, int] | None:
        self._reach("head")
        return super().head(bucket, key)

    def put(self, source: str, bucket: str, key: str, token: int, condition: Mapping[str, str]) -> None:
        self._reach("probe" if key.endswith("-probe") else "put")
        super().put(source, bucket, key, token, dict(condition))

    def _reach(self, step: str) -> None:
        if step == self._step:
            self._step = ""
            self._meanwhile()


class DeafObjects(S3Objects):
    """A store that ignores conditions."""

    def put(self, source: str, bucket: str, key: str, token: int, condition: Mapping[str, str]) -> None:
        super().put(source, bucket, key, token, {})


def file_with(folder: Path, content: str) -> str:
    path = folder / content
    path.write_text(content)
    return str(path)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [None, "first"])
def test_an_older_run_that_was_paused_anywhere_does_not_replace_the_newer_object(
    s3: S3Server, tmp_path: Path, step: str, before: str | None
) -> None:
    key = f"older-{step}-{before}"
    uri = f"s3://bucket/{key}"
    if before:
        publish_object(file_with(tmp_path, before), uri, 1)
    older, newer = file_with(tmp_path, "older"), file_with(tmp_path, "newer")

    with pytest.raises(OvertakenError) as raised:
        publish_object(older, uri, 2, PausedObjects(step, lambda: publish_object(newer, uri, 3)))

    assert (raised.value.token, raised.value.newest) == (2, 3)
    assert s3.content(key) == b"newer"
    assert present(S3Objects().head("bucket", key))[1] == 3
    assert Path(older).exists()
    assert s3.keys(key) == [key]


@pytest.mark.parametrize("step", STEPS)
def test_a_newer_run_that_was_paused_anywhere_replaces_the_older_object(
    s3: S3Server, tmp_path: Path, step: str
) -> None:
    uri = f"s3://bucket/newer-{step}"
    older, newer = file_with(tmp_path, "older"), file_with(tmp_path, "newer")

    publish_object(newer, uri, 3, PausedObjects(step, lambda: publish_object(older, uri, 2)))

    assert s3.content(f"newer-{step}") == b"newer"
    assert not Path(newer).exists()


def test_a_run_whose_object_was_deleted_meanwhile_writes_it_again(s3: S3Server, tmp_path: Path) -> None:
    uri = "s3://bucket/deleted"
    publish_object(file_with(tmp_path, "first"), uri, 1)
    objects = PausedObjects("put", lambda: S3Objects().remove("bucket", "deleted"))

    publish_object(file_with(tmp_path, "second"), uri, 2, objects)

    assert s3.content("deleted") == b"second"


def test_a_run_may_publish_twice(s3: S3Server, tmp_path: Path) -> None:
    for content in ("first", "second"):
        Run((), {"DATABUILD_FENCING_TOKEN": "7"}).publish(file_with(tmp_path, content), "s3://bucket/twice")

    assert s3.content("twice") == b"second"


def test_without_a_token_an_object_is_written_in_any_case(s3: S3Server, tmp_path: Path) -> None:
    publish_object(file_with(tmp_path, "first"), "s3://bucket/any", 7)
    publish_object(file_with(tmp_path, "second"), "s3://bucket/any", 0)

    assert s3.content("any") == b"second"


def test_a_store_that_ignores_conditions_is_refused(s3: S3Server, tmp_path: Path) -> None:
    source = file_with(tmp_path, "first")

    with pytest.raises(ValueError, match=r"ignores the conditions of writes \(If-Match\)"):
        publish_object(source, "s3://bucket/deaf", 7, DeafObjects())

    assert s3.keys("deaf") == []
    assert Path(source).exists()


def test_a_store_that_fails_leaves_the_file(s3: S3Server, tmp_path: Path) -> None:
    source = file_with(tmp_path, "first")

    with pytest.raises(OSError, match="bucket does not exist"):
        publish_object(source, "s3://absent/failing", 7)

    assert Path(source).exists()


def test_an_object_that_always_changes_is_given_up(s3: S3Server, tmp_path: Path) -> None:
    class Changing(S3Objects):
        def put(self, source: str, bucket: str, key: str, token: int, condition: Mapping[str, str]) -> None:
            raise ObjectChangedError

    with pytest.raises(OSError, match="was changed by others before each of 100 writes"):
        publish_object(file_with(tmp_path, "first"), "s3://bucket/changing", 7, Changing())


@pytest.mark.parametrize("uri", ["gs://bucket/key", "s3://bucket", "s3:///key", "abfs://container/key"])
def test_other_stores_are_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ValueError, match="use a path, or s3://BUCKET/KEY"):
        publish_object(file_with(tmp_path, "first"), uri, 7)


_KILLED = """
import os, signal, sys
from databuild.job.object_publishing import S3Objects, publish_object

class Killed(S3Objects):
    def head(self, bucket, key):
        self.reach("before head")
        found = super().head(bucket, key)
        self.reach("after head")
        return found

    def put(self, source, bucket, key, token, condition):
        step = "probe" if key.endswith("-probe") else "put"
        self.reach(f"before {step}")
        try:
            super().put(source, bucket, key, token, condition)
        finally:
            self.reach(f"after {step}")

    def reach(self, step):
        if step == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)

publish_object(sys.argv[1], sys.argv[2], 2, Killed())
"""


@pytest.mark.parametrize("before", [None, "first"])
@pytest.mark.parametrize(
    "step", ["before probe", "after probe", "before head", "after head", "before put", "after put"]
)
def test_a_run_that_is_killed_anywhere_leaves_no_other_object(
    s3: S3Server, tmp_path: Path, step: str, before: str | None
) -> None:
    key = f"killed-{step.replace(' ', '-')}-{before}"
    if before:
        publish_object(file_with(tmp_path, before), f"s3://bucket/{key}", 1)
    source = file_with(tmp_path, "second")
    command = child.command("-c", _KILLED, source, f"s3://bucket/{key}", step)
    killed = subprocess.run(command, check=False, env={**os.environ, **s3.environ})

    assert killed.returncode == -signal.SIGKILL
    assert Path(source).exists()
    written = b"second" if step == "after put" else (before or "").encode()
    assert {name: s3.content(name) for name in s3.keys(key)} == ({key: written} if written else {})
    assert s3.uploads() == []


def test_jobs_do_not_import_it_unless_they_publish_an_object() -> None:
    script = "import sys, databuild.job; print([n for n in sys.modules if 'publishing' in n or 's3fs' in n])"
    out = subprocess.run(child.command("-c", script), check=True, capture_output=True, text=True).stdout

    assert out == "[]\n"
