-- Queries in the dialect of SQLite.

-- name: among
IN (SELECT value FROM json_each(:keys))

-- name: now
:now

-- name: position_in
instr

-- name: newest_position
SELECT max(position) FROM events

-- name: inputs_of_runs
-- Looks up runs in the order of the keys; `{among}` would sort thousands of them first.
SELECT r.job_run_id, r.inputs FROM json_each(:keys) j CROSS JOIN job_runs r ON r.job_run_id = j.value
WHERE r.inputs IS NOT NULL
