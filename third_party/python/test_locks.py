"""Checks that the locks fit together, and that consumers of the module get few packages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# One more is one more download for every consumer.
MAX_CONSUMER_PACKAGES = 26
MAX_PACKAGES_OF_SQL_JOBS = 1
MAX_PACKAGES_OF_DASK = 19
MAX_PACKAGES_OF_STORAGE = 50
MAX_PACKAGES_OF_OTLP = 1
MAX_PACKAGES_OF_OPENLINEAGE = 20


def locked(name: str) -> dict[str, str]:
    """Returns the version of each package in a lock, with the condition under which it is wanted."""
    return dict(re.findall(r"^([a-z0-9-]+)==(.*?) *\\$", (HERE / name).read_text(), re.MULTILINE))


def wanted(name: str) -> set[str]:
    """Returns the packages of an input of a lock."""
    return set(re.findall(r"^([a-z0-9-]+)", (HERE / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    "name",
    [
        "requirements_lock.txt",
        "requirements_dask_lock.txt",
        "requirements_duckdb_lock.txt",
        "requirements_fsspec_lock.txt",
        "requirements_openlineage_lock.txt",
        "requirements_otlp_lock.txt",
    ],
)
def test_a_package_of_several_locks_has_one_version(name: str) -> None:
    consumers, development = locked(name), locked("requirements_dev_lock.txt")

    shared = consumers.keys() & development.keys()
    assert shared
    # Versions alone: a dependency of one platform may have a condition in only one of the locks.
    versions = [{name: lock[name].split()[0] for name in shared} for lock in (consumers, development)]
    assert versions[0] == versions[1]


def test_each_lock_has_what_is_asked_for() -> None:
    assert wanted("requirements.in") <= locked("requirements_lock.txt").keys()
    assert wanted("requirements_duckdb.in") <= locked("requirements_duckdb_lock.txt").keys()
    assert wanted("requirements_buildbox.in") == locked("requirements_buildbox_lock.txt").keys()
    assert wanted("requirements_dask.in") <= locked("requirements_dask_lock.txt").keys()
    assert wanted("requirements_fsspec.in") <= locked("requirements_fsspec_lock.txt").keys()
    assert wanted("requirements_openlineage.in") <= locked("requirements_openlineage_lock.txt").keys()
    assert wanted("requirements_otlp.in") <= locked("requirements_otlp_lock.txt").keys()
    assert wanted("requirements_peers.in") <= locked("requirements_peers_lock.txt").keys()
    assert wanted("requirements_dev.in") <= locked("requirements_dev_lock.txt").keys()


def test_consumers_get_few_packages_and_no_tools_of_development() -> None:
    runtime = locked("requirements_lock.txt").keys()

    assert len(runtime) <= MAX_CONSUMER_PACKAGES
    assert not runtime & wanted("requirements_dev.in")


def test_the_executor_for_dask_adds_few_packages_to_those_of_the_core() -> None:
    added = locked("requirements_dask_lock.txt").keys() - locked("requirements_lock.txt").keys()

    assert len(added) <= MAX_PACKAGES_OF_DASK


def test_storage_adds_few_packages_to_those_of_the_core() -> None:
    added = locked("requirements_fsspec_lock.txt").keys() - locked("requirements_lock.txt").keys()

    assert len(added) <= MAX_PACKAGES_OF_STORAGE


def test_the_exporter_to_opentelemetry_adds_few_packages_to_those_of_the_core() -> None:
    added = locked("requirements_otlp_lock.txt").keys() - locked("requirements_lock.txt").keys()

    assert len(added) <= MAX_PACKAGES_OF_OTLP


def test_the_exporter_to_openlineage_adds_few_packages_to_those_of_the_core() -> None:
    added = locked("requirements_openlineage_lock.txt").keys() - locked("requirements_lock.txt").keys()

    assert len(added) <= MAX_PACKAGES_OF_OPENLINEAGE


def test_sql_jobs_add_few_packages_to_those_of_the_core() -> None:
    added = locked("requirements_duckdb_lock.txt").keys() - locked("requirements_lock.txt").keys()

    assert len(added) <= MAX_PACKAGES_OF_SQL_JOBS
