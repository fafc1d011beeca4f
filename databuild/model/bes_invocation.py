"""The ids of a build in a Build Event Service, and the address of its page. Imports little, for the command line."""

from __future__ import annotations

import uuid
from typing import Final

from databuild.tuples import NamedTuple

_NAMESPACE: Final = uuid.UUID("5f0c3c2e-6d0b-5f6e-9d55-4f1f8f0f7a10")


class Invocation(NamedTuple):
    """The ids of a build, which follow from its own id.

    Attributes:
        build_id: The id of the build, a UUID.
        invocation_id: The id of its only invocation, a UUID.
    """

    build_id: str
    invocation_id: str


def invocation_of(build_request_id: str) -> Invocation:
    """Returns the ids of a build.

    They are the same whenever and by whichever process they are computed, so a service recognises a build that is sent
    again.
    """
    build, invocation = (str(uuid.uuid5(_NAMESPACE, f"{kind} {build_request_id}")) for kind in ("build", "invocation"))
    return Invocation(build, invocation)


def results_url(base: str, build_request_id: str) -> str:
    """Returns the address of the page of a build, as Bazel makes it from `--bes_results_url`."""
    return f"{base.rstrip('/')}/{invocation_of(build_request_id).invocation_id}"
