"""Prints the output of `events` or `logs` with `--output=json`, without values that differ between equal builds.

Ids, times and what is measured are left out, also which worker served a run and the versions of files. The order is
that of the text: that of what is concurrent is free.
"""

import json
import re
import sys

LEFT_OUT = {
    "bazel_invocation_id",
    "build_request_id",
    "config_calls",
    "cpu_seconds",
    "duration_seconds",
    "event_id",
    "peak_memory_bytes",
    "sequence",
    "time",
    "traceparent",
    "worker_id",
    "worker_request",
}
BUILD = re.compile(r"\b\d{8}T\d{6}Z-[a-z0-9]+")


def masked(value: object) -> object:
    """Returns a value without the parts that differ."""
    if isinstance(value, dict):
        left_out = LEFT_OUT | {"version"} if "uri" in value else LEFT_OUT
        return {key: masked(item) for key, item in value.items() if key not in left_out}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return BUILD.sub("BUILD", value) if isinstance(value, str) else value


def main() -> None:
    """Prints an event, or what a job run wrote, on each line."""
    found = [json.loads(line) for line in sys.stdin]
    items = [item for one in found for item in one.get("job_runs", [one])]
    print(*sorted(json.dumps(masked(item), sort_keys=True) for item in items), sep="\n")


if __name__ == "__main__":
    main()
