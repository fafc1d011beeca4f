"""Prints the output of `events` or `logs` with `--output=json`, without values that differ between equal builds.

Ids, times and what is measured are left out, and the order is that of the text: that of what is concurrent is free.
"""

import json
import re
import sys

LEFT_OUT = {"event_id", "sequence", "time", "build_request_id", "duration_seconds", "cpu_seconds", "peak_memory_bytes"}
BUILD = re.compile(r"\b\d{8}T\d{6}Z-[a-z0-9]+")


def masked(value: object) -> object:
    """Returns a value without the parts that differ."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items() if key not in LEFT_OUT}
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
