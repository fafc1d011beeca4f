"""Build ids as entered by users: a complete id, a unique prefix of one, or `latest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.errors import BuildNotFoundError

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads, OpenBuildReads
    from databuild.model.records import BuildRecord

LATEST = "latest"


def find_build(reader: BuildReads, text: str = LATEST) -> BuildRecord:
    """Finds the build with an id or a prefix of an id.

    Raises:
        BuildNotFoundError: No build matches, or the prefix is not unique; the error has the candidates.
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
    """Returns the message that a build is dead; empty if its orchestrator may be alive, or the build has ended."""
    from databuild.orchestration.coordination.dead_builds import find_dead_builds, next_step

    dead = find_dead_builds(reader).get(build_request_id)
    if dead is None:
        return ""
    return f"build {build_request_id} is dead: {dead.fault}; {next_step(reader, build_request_id)}"
