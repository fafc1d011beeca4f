"""Runs pytest with the report, filter, shards and temporary directory that Bazel sets for a test.

https://bazel.build/reference/test-encyclopedia documents the environment variables.
"""

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

# Time before Bazel's timeout at which a hanging test prints its stack traces.
_DUMP_SECONDS = 5
# Plugins to load, if a target has them. pytest would load those of all distributions, and compile each of their modules
# with its own assertions, at every start, because a sandbox keeps no bytecode.
_PLUGINS = ("_hypothesis_pytestplugin", "pytest_asyncio.plugin")


class Selection:
    """Selects the tests of one shard: whole files, which may share fixtures, if there are enough, or else single tests.

    Attributes:
        any_collected: True if pytest collected any test, in this shard or another.
    """

    def __init__(self, shard: int, shards: int) -> None:
        """Selects every `shards`-th file or test, starting with number `shard`."""
        self._shard = shard
        self._shards = shards
        self.any_collected = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Runs before the filter of pytest, so it sees every test."""
        self.any_collected = bool(items)
        files = list(dict.fromkeys(item.path for item in items))
        if len(files) < self._shards:
            items[:] = items[self._shard :: self._shards]
        else:
            chosen = set(files[self._shard :: self._shards])
            items[:] = [item for item in items if item.path in chosen]


class LoopErrors(logging.Handler):
    """Fails a test during which an event loop logged an error, such as an exception in a callback."""

    def __init__(self) -> None:
        """Adds a handler to the logger of asyncio."""
        super().__init__(logging.ERROR)
        self._errors: list[str] = []
        logging.getLogger("asyncio").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Stores an error until the end of the test."""
        self._errors.append(logging.Formatter().format(record))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None]:
        """Runs around a test."""
        yield
        self._fail()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None]:
        """Runs around the end of a test's fixtures."""
        yield
        self._fail()

    def _fail(self) -> None:
        if self._errors:
            errors, self._errors = self._errors, []
            pytest.fail("the event loop logged:\n" + "\n".join(errors), pytrace=False)


def arguments(environment: Mapping[str, str]) -> list[str]:
    """Returns the arguments for pytest that Bazel's environment asks for."""
    args = ["-c", "pyproject.toml", f"--rootdir={Path.cwd()}", "-p", "no:cacheprovider", "--disable-plugin-autoload"]
    if report := environment.get("XML_OUTPUT_FILE"):
        args.append(f"--junitxml={report}")
    if folder := environment.get("TEST_TMPDIR"):
        args.append(f"--basetemp={Path(folder, 'pytest')}")
    if timeout := environment.get("TEST_TIMEOUT"):
        args += ["-o", f"faulthandler_timeout={max(1, int(timeout) - _DUMP_SECONDS)}"]
    if expression := environment.get("TESTBRIDGE_TEST_ONLY"):
        args += ["-k", expression]
    if environment.get("TESTBRIDGE_TEST_RUNNER_FAIL_FAST") == "1":
        args.append("--exitfirst")
    if importlib.util.find_spec("hypothesis"):
        # The same examples in each run, because Bazel caches results. No deadline, because machines are busy.
        args.append("--hypothesis-profile=ci")
    return args


def plugins() -> list[ModuleType]:
    """Imports the plugins. pytest does not compile what is imported already."""
    return [importlib.import_module(name) for name in _PLUGINS if importlib.util.find_spec(name.partition(".")[0])]


def main(argv: list[str]) -> int:
    """Runs the given test files and returns pytest's exit code."""
    if status_file := os.environ.get("TEST_SHARD_STATUS_FILE"):
        Path(status_file).touch()
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(os.environ.get("TEST_TMPDIR", ""), "hypothesis"))
    selection = Selection(
        int(os.environ.get("TEST_SHARD_INDEX", "0")), int(os.environ.get("TEST_TOTAL_SHARDS") or "0") or 1
    )
    code = pytest.main([*arguments(os.environ), *argv], plugins=[*plugins(), selection, LoopErrors()])
    if code == pytest.ExitCode.NO_TESTS_COLLECTED and selection.any_collected:
        # The filter or the shard excluded every test, which is not an error.
        return 0
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
