"""The digest of a configuration: equal exactly where a job would be run in the same way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator

from databuild.model.job_graph import JobConfig
from databuild.model.pacing import SLICE, slices, sort

_encode = json.JSONEncoder(separators=(",", ":")).encode


def configuration_digest(config: JobConfig) -> Generator[None, None, str]:
    """Computes a hash over arguments (in order), environment and inputs (in any order), in hexadecimal.

    Yields now and then (see `Pace`) where there is much to hash.
    """
    args, env, materialize, query = config.args, config.env, config.materialize, config.query
    if len(args) + len(env) + len(materialize) + len(query) <= SLICE:
        parts = (args, sorted(env), sorted(materialize), sorted(query))
        return hashlib.sha256(_encode(parts).encode()).hexdigest()[:32]
    hashed = hashlib.sha256(b"[")
    hashed.update(_encode([args, sorted(env)])[1:-1].encode())
    for refs in (materialize, query):
        yield
        ordered = yield from sort(refs)
        between = b",["
        for some in slices(ordered):
            yield
            hashed.update(between + _encode(some)[1:-1].encode())
            between = b","
        hashed.update(b"]" if ordered else b",[]")
    hashed.update(b"]")
    return hashed.hexdigest()[:32]
