"""The digests of the configurations of one analysis, computed once for each and only for those that somebody reads."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from databuild.graph.config_comparison import configuration_digests, digest_in_slices
from databuild.model.job_graph import JobConfig
from databuild.model.pacing import SLICE, slices, slices_by_work


class ConfigDigests:
    """Digests by the identity of configurations, which must live as long as this object.

    Attributes:
        by_id: The digest of each configuration that was added, by its `id`.
    """

    def __init__(self) -> None:
        self.by_id: dict[int, str] = {}

    def add(self, configs: Iterable[JobConfig]) -> Generator[None, None, None]:
        """Computes the digests of configurations. Yields at least once per slice (see `Pace`)."""
        for some in slices(configs):
            yield
            new = {id(config): config for config in some if id(config) not in self.by_id}.values()
            sizes = [len(config.materialize) + len(config.query) for config in new]
            for small in slices_by_work(new, sizes) if sum(sizes) > SLICE else (tuple(new),):
                yield
                if len(small) == 1:
                    self.by_id[id(small[0])] = yield from digest_in_slices(small[0])
                else:
                    self.by_id.update(zip(map(id, small), configuration_digests(small), strict=True))
