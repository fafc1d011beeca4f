"""The tables of an event log, with the columns that they have in every database. `events verify` compares them."""

from __future__ import annotations

from typing import Final

from databuild.tuples import NamedTuple


class Table(NamedTuple):
    """One table.

    Attributes:
        name: The name.
        key_length: The number of columns, from the first, that form the key.
        columns: The names of the columns.
    """

    name: str
    key_length: int
    columns: tuple[str, ...]


def _table(name: str, key: str, others: str) -> Table:
    return Table(name, len(key.split()), (*key.split(), *others.split()))


_PARTITION_COLUMNS: Final = (
    "status build_request_id time available version job_run_id metadata adoption tainted taint_reason "
    "failure_category failure_message location removal"
)

READ_MODELS: Final = (
    _table(
        "builds",
        "build_request_id",
        "status graph_label received_time updated_time last_sequence total_tasks jobs_completed jobs_failed "
        "partitions_available partitions_delegated partitions_failed retry_of_build_request_id cancel_requested_by "
        "failure_category failure_message pruned_time rows_left first_position",
    ),
    _table("build_requests", "build_request_id", "requested"),
    _table(
        "build_partitions",
        "build_request_id ref",
        "status task_id reason cause job_run_id failure_category failure_message",
    ),
    _table(
        "job_runs",
        "job_run_id",
        "build_request_id number task_id job_label attempt status scheduled_time started_time ended_time exit_code "
        "duration_seconds cpu_seconds peak_memory_bytes failure_category failure_message code_digest "
        "configuration_digest inputs output_digests",
    ),
    _table(
        "placements",
        "job_run_id",
        "build_request_id executor machine placed_time queued_seconds log_store stdout_bytes stderr_bytes worker_id "
        "worker_request",
    ),
    _table("job_run_metrics", "job_run_id name ref", "build_request_id value unit"),
    _table("job_run_checks", "job_run_id name ref", "build_request_id passed severity message"),
    _table("job_run_schemas", "job_run_id ref", "build_request_id schema"),
    _table("partitions", "ref", _PARTITION_COLUMNS),
    _table("partition_counts", "status", "count"),
    _table("partition_uses", "input job_run_id output", "version query"),
)
"""The tables that can be rebuilt from the events."""

SNAPSHOTS: Final = _table("partition_snapshots", "ref", f"{_PARTITION_COLUMNS} position")
"""The effect of pruned events on partitions; see `pruning.py`."""

EVENTS: Final = _table("events", "position", "build_request_id sequence payload")
CLAIMS: Final = _table("claims", "ref", "build_request_id job_run_id token")
LEASES: Final = _table("leases", "build_request_id", "expires holder submitter")
HOLDINGS: Final = _table("holdings", "job_run_id resource", "build_request_id amount")
SHARERS: Final = _table("sharers", "build_request_id", "turn waiting_for waiting_until")
