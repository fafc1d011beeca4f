"""The headers of requests: those that the user gave, and those of a credential helper.

The protocol of helpers is that of Bazel (https://github.com/EngFlow/credential-helper-spec).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

Headers: TypeAlias = tuple[tuple[str, str], ...]

_HELPER_SECONDS: Final = 10.0
_CACHE_SECONDS: Final = 30 * 60.0
"""The time for which headers without a time of expiry are used, as in Bazel."""

_MAX_OUTPUT_IN_ERROR: Final = 500


class CredentialHelperError(Exception):
    """A credential helper failed, or printed something else than headers."""


class RequestHeaders:
    """The headers of each request."""

    def __init__(self, headers: Mapping[str, str], helper: str, environ: Mapping[str, str], url: str) -> None:
        """Runs nothing yet.

        Args:
            headers: Fixed headers.
            helper: The path of the credential helper; empty for none.
            environ: Its environment.
            url: The address for which it is asked.
        """
        self._fixed = tuple((name.lower(), value) for name, value in headers.items())
        self._helper = helper
        self._environ = environ
        self._url = url
        self._current: Headers = ()
        self._expires = 0.0
        self._asking = asyncio.Lock()

    async def get(self) -> Headers:
        """Returns the headers; asks the helper if there are none, or if they have expired.

        Raises:
            CredentialHelperError: The helper failed.
        """
        if not self._helper:
            return self._fixed
        if _now() >= self._expires:
            async with self._asking:
                if _now() >= self._expires:
                    helped, self._expires = await self._ask()
                    self._current = self._fixed + helped
        return self._current

    @property
    def renewable(self) -> bool:
        """True if there is a helper, which may have other headers after the system has refused some."""
        return bool(self._helper)

    def refuse(self, headers: Headers) -> None:
        """Notes that the system has refused headers, so that the helper is asked again."""
        if headers is self._current:
            self._expires = 0.0

    async def _ask(self) -> tuple[Headers, float]:
        try:
            process = await asyncio.create_subprocess_exec(
                self._helper,
                "get",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environ,
            )
        except OSError as error:
            raise CredentialHelperError(f"the credential helper {self._helper} cannot be started: {error}") from error
        try:
            async with asyncio.timeout(_HELPER_SECONDS):
                stdout, stderr = await process.communicate(json.dumps({"uri": self._url}).encode())
        except TimeoutError:
            raise CredentialHelperError(
                f"the credential helper {self._helper} did not end within {_HELPER_SECONDS:.0f} seconds"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.returncode:
            raise CredentialHelperError(
                f"the credential helper {self._helper} ended with exit code {process.returncode}: "
                f"{stderr.decode(errors='replace').strip()[-_MAX_OUTPUT_IN_ERROR:]}"
            )
        try:
            return _parse(stdout)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # The output is not part of the message, because it may have a token.
            raise CredentialHelperError(
                f"the credential helper {self._helper} must print a JSON object with the headers as lists of texts, "
                f"and the time at which they expire in RFC 3339 form, if at all ({type(error).__name__})"
            ) from None


def _parse(output: bytes) -> tuple[Headers, float]:
    answer = json.loads(output)
    headers: dict[str, Sequence[str]] = answer.get("headers", {})
    expires = answer.get("expires")
    until = datetime.fromisoformat(expires).timestamp() if expires else _now() + _CACHE_SECONDS
    pairs = tuple((name.lower(), str(value)) for name, values in headers.items() for value in _texts(values))
    return pairs, until


def _texts(values: Sequence[str]) -> Sequence[str]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError
    return values


def _now() -> float:
    return datetime.now(UTC).timestamp()
