"""Prints the events of one build, as `events --output=json` does, without what differs between builds that did alike.

Ids, times and what is measured are left out, and the order is that of the text: that of concurrent events is free.
"""

import json
import re
import sys

LEFT_OUT = {"event_id", "sequence", "time", "build_request_id", "duration_seconds", "cpu_seconds", "peak_memory_bytes"}
BUILD = re.compile(r"\b\d{8}T\d{6}Z-[a-z0-9]+")


def masked(value: object) -> object:
    """Returns a value without what differs."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return BUILD.sub("BUILD", value) if isinstance(value, str) else value


if __name__ == "__main__":
    print(*sorted(json.dumps(masked(json.loads(line)), sort_keys=True) for line in sys.stdin), sep="\n")
