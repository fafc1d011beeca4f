"""The digest of a configuration: equal exactly where a job would be run in the same way."""

from __future__ import annotations

import hashlib
import json

from databuild.model.job_graph import JobConfig

_encode = json.JSONEncoder(separators=(",", ":")).encode


def configuration_digest(config: JobConfig) -> str:
    """Returns a hash over arguments (in order), environment and inputs (in any order), in hexadecimal."""
    parts = (config.args, sorted(config.env), sorted(config.materialize), sorted(config.query))
    return hashlib.sha256(_encode(parts).encode()).hexdigest()[:32]
