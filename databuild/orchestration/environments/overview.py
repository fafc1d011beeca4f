"""Overview of an environment, for lists."""

from __future__ import annotations

from databuild.event_log.overlay.reader import OverlayReader
from databuild.model.environment_views import EnvironmentView
from databuild.model.paging import read_pages


def overview(reader: OverlayReader, name: str) -> EnvironmentView:
    """Returns an overview of an environment.

    Args:
        reader: Reads the environment.
        name: Its name.
    """
    newest = reader.builds(limit=1)
    pages = read_pages(
        lambda after, limit: reader.own.stored_data_under(after=after, limit=limit),
        key=lambda data: data.ref,
        start="",
    )
    return EnvironmentView(
        name,
        reader.own.sizes().builds,
        sum(map(len, pages)),
        newest[0].updated_time if newest else 0.0,
    )
