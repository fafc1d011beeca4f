"""Reads the events of one build as `events --output=json` prints them, and prints violations of the contract.

The first event is RECEIVED and the last is the one terminal event; sequence numbers have no gap; every job run and
every partition that was scheduled comes to exactly one end; and what failed, or never ran, says why.
"""

import json
import sys
from typing import Any

JOB_ENDS = {"JOB_STATUS_COMPLETED", "JOB_STATUS_FAILED", "JOB_STATUS_CANCELLED", "JOB_STATUS_SKIPPED"}
DELEGATED = "PARTITION_STATUS_DELEGATED"
PARTITION_ENDS = {"PARTITION_STATUS_AVAILABLE", "PARTITION_STATUS_FAILED", DELEGATED}
BUILD_ENDS = {"BUILD_STATUS_COMPLETED", "BUILD_STATUS_FAILED", "BUILD_STATUS_CANCELLED"}
GOOD_ENDS = {"JOB_STATUS_COMPLETED", "PARTITION_STATUS_AVAILABLE", DELEGATED}


def faults(events: list[dict[str, Any]]) -> list[str]:
    """Returns the violations, one sentence each."""
    found = []
    if [int(event["sequence"]) for event in events] != list(range(1, len(events) + 1)):
        found.append("the sequence numbers are not 1, 2, 3 and so on")
    builds = [event["build_request"]["status"] for event in events if "build_request" in event]
    if "build_request" not in events[0] or builds[0] != "BUILD_STATUS_RECEIVED":
        found.append("the first event is not RECEIVED")
    if "build_request" not in events[-1] or [status for status in builds if status in BUILD_ENDS] != builds[-1:]:
        found.append("the last event is not the one terminal event")
    jobs = [event["job"] for event in events if "job" in event]
    partitions = [event["partition"] for event in events if "partition" in event]
    found += ends([(job["job_run_id"], job) for job in jobs], JOB_ENDS)
    found += ends([(partition["ref"], partition) for partition in partitions], PARTITION_ENDS)
    return found


def ends(statuses: list[tuple[str, dict[str, Any]]], possible: set[str]) -> list[str]:
    """Returns the violations by ends of job runs or partitions."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for name, message in statuses:
        by_name.setdefault(name, []).append(message)
    found = []
    for name, messages in by_name.items():
        # A partition that was left to a build which did not produce it is scheduled again.
        ended = [
            message
            for message, following in zip(messages, [*messages[1:], {}], strict=True)
            if message["status"] in possible
            and (message["status"], following.get("status")) != (DELEGATED, "PARTITION_STATUS_SCHEDULED")
        ]
        if len(ended) != 1 or messages[-1] is not ended[0]:
            found.append(f"{name} has not one end, and that last: {[message['status'] for message in messages]}")
        elif ended[0]["status"] not in GOOD_ENDS and not ended[0].get("failure", {}).get("message"):
            found.append(f"{name} is {ended[0]['status']} and does not say why")
    return found


def main() -> None:
    """Prints the violations, and fails if there are any."""
    found = faults([json.loads(line) for line in sys.stdin])
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
