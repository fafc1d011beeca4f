"""Which build a person means: an id, the beginning of one, `latest`, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.errors import BuildNotFoundError

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads, OpenBuildReads
    from databuild.model.records import BuildRecord

LATEST = "latest"


def find_build(reader: BuildReads, text: str = LATEST) -> BuildRecord:
    """Returns the build that a text means.

    Raises:
        BuildNotFoundError: It means none, or may mean several.
    """
    if text == LATEST:
        newest = reader.builds(limit=1)
        if not newest:
            raise BuildNotFoundError(text)
        return newest[0]
    build = reader.build(text)
    if build is not None:
        return build
    candidates = reader.builds_beginning(text) if text else ()
    build = reader.build(candidates[0]) if len(candidates) == 1 else None
    if build is None:
        raise BuildNotFoundError(text, candidates=candidates)
    return build


def dead_build_message(reader: OpenBuildReads, build_request_id: str) -> str:
    """Returns a sentence about a build whose orchestrator has died; nothing where it may go on."""
    from databuild.orchestration.coordination.dead_builds import find_dead

    dead = find_dead(reader).get(build_request_id)
    if dead is None:
        return ""
    return f"nothing more will come of build {build_request_id}: {dead.fault}; the next build ends it"
