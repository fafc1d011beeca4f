"""The records of runs on the scheduler of Dask, which make one run of each.

Dask may give a task to a second worker: a worker leaves, is retired, or is cut off. Each worker therefore claims a run
here before it starts the process, and only the first claim is granted. Results are kept here until their client has
them, so that the death of a worker does not repeat a run that has ended.

This module is sent to the scheduler as source text. It imports the standard library and distributed alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from distributed import SchedulerPlugin

if TYPE_CHECKING:
    from distributed import Scheduler

MAX_RETRIES: Final = 20
"""The number of workers that may die with a task before it has started."""

KEEP_SECONDS: Final = 7 * 24 * 3600.0
"""The time for which results of runs whose client has gone are kept."""


class _Run:
    """One run.

    Attributes:
        client: The client of Dask that is told about the run.
        submitted: The time of its submission.
        worker: The address of the worker that claimed it; empty before.
        machine: The name of that worker for people.
        started: The time at which that worker started it; 0.0 before.
        ended: The time of its end; 0.0 before.
        end: The message about its end; None before.
        retries: The number of workers that have died with the task before it had started.
    """

    __slots__ = ("client", "end", "ended", "machine", "retries", "started", "submitted", "worker")

    def __init__(self, client: str) -> None:
        self.client = client
        self.submitted = time.time()
        self.worker = ""
        self.machine = ""
        self.started = 0.0
        self.ended = 0.0
        self.end: dict[str, Any] | None = None
        self.retries = 0


class RunRegistry(SchedulerPlugin):
    """Grants claims of runs, keeps their results, and tells clients what happens to their runs."""

    idempotent = True

    def __init__(self, name: str) -> None:
        """Starts nothing yet.

        Args:
            name: The name of the plugin: also the topic of its messages, the prefix of its handlers, the first part of
                the keys of our tasks (the second is the key of the run), and the client that wants their results.
        """
        self.name = name
        self._runs: dict[str, _Run] = {}
        self._clients: set[str] = set()

    async def start(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        handlers: Mapping[str, Callable[..., Any]] = {
            "describe": self.describe,
            "attach": self.attach,
            "cancel": self.cancel,
            "release": self.release,
            "call_worker": self.call_worker,
        }
        scheduler.handlers.update({f"{self.name}_{name}": handler for name, handler in handlers.items()})
        streams: Mapping[str, Callable[..., Any]] = {
            "claim": self.claim,
            "unclaim": self.unclaim,
            "started": self.run_started,
            "ended": self.run_ended,
            "forward": self.forward,
        }
        scheduler.stream_handlers.update({f"{self.name}_{name}": handler for name, handler in streams.items()})

    # Called by clients.

    def describe(self, client: str) -> dict[str, Any]:
        """Returns the facts about the cluster that a client checks, and tells the client about changes from now on."""
        self._clients.add(client)
        self._remove_old()
        return {
            "scheduler": self._scheduler.id,
            "allowed_failures": self._scheduler.allowed_failures,
            "workers": {
                address: worker.versions.get("packages", {}).get("distributed", "")
                for address, worker in self._scheduler.workers.items()
            },
            "threads": self._threads(),
        }

    def attach(self, client: str, runs: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Sends messages about runs to another client from now on.

        Returns:
            The messages so far, by run; none for a run that is not known.
        """
        messages = {}
        for run_id in runs:
            run = self._runs.get(run_id)
            if run is not None:
                run.client = client
                messages[run_id] = [{"event": "accepted", "runs": [run_id]}]
                if run.started:
                    messages[run_id].append({"event": "started", "run": run_id, **self._place(run)})
                if run.end is not None:
                    messages[run_id].append(run.end)
        return messages

    def cancel(self, runs: Sequence[str]) -> None:
        """Cancels runs; those that have started end soon, all others at once."""
        for run_id in runs:
            run = self._runs.get(run_id)
            if run is None or run.end is not None:
                continue
            if not run.worker:
                self._end(run_id, {"cancelled": True})
                self._release([run_id])
            elif run.worker in self._scheduler.workers:
                self._scheduler.worker_send(run.worker, {"op": f"{self.name}_cancel", "run": run_id})
            else:
                self._end(run_id, {"lost": f"the worker {run.machine} has left the cluster"})

    def release(self, runs: Sequence[str]) -> None:
        """Forgets runs."""
        known = [run_id for run_id in runs if self._runs.pop(run_id, None) is not None]
        self._release(known)

    async def call_worker(self, worker: str, message: dict[str, Any]) -> Any:
        """Calls an agent, since clients may be unable to reach workers, and returns its answer.

        Returns:
            The answer; None if the worker has gone or fails.
        """
        if worker not in self._scheduler.workers:
            return None
        answers = await self._scheduler.broadcast(msg=message, workers=[worker], on_error="ignore")
        return answers.get(worker)

    # Called by workers.

    def claim(self, run: str, worker: str = "") -> None:
        """Tells a worker whether it may start a run."""
        record = self._runs.get(run)
        known = worker in self._scheduler.workers
        granted = known and record is not None and not record.worker and record.end is None
        if record is not None and granted:
            self._grant(run, record, worker)
        else:
            self._answer(run, worker, granted=False)

    def unclaim(self, run: str, worker: str = "") -> None:
        """Revokes the claim of a run that the worker has not started and will not start."""
        record = self._runs.get(run)
        if record is not None and record.worker == worker and not record.started and record.end is None:
            record.worker = ""

    def run_started(self, run: str, worker: str = "") -> None:
        """Records the start of a run."""
        record = self._runs.get(run)
        if record is not None and record.worker == worker:
            record.started = time.time()
            self._send(record, {"event": "started", "run": run, **self._place(record)})

    def run_ended(self, run: str, result: dict[str, Any], worker: str = "") -> None:
        """Records the result of a run."""
        record = self._runs.get(run)
        if record is not None and record.worker == worker and record.end is None:
            if "cancelled" not in result:
                record.started = record.started or time.time()
            self._end(run, result)

    def forward(self, run: str, message: dict[str, Any], worker: str = "") -> None:
        """Passes a message of a worker to the client of a run."""
        record = self._runs.get(run)
        if record is not None and record.worker == worker:
            self._send(record, {**message, "run": run, "worker": worker})

    # Called by the scheduler.

    def update_graph(self, scheduler: Scheduler, *, client: str, keys: Collection[Any], **_: Any) -> None:
        ours = [key for key in keys if self._is_ours(key) and key[1] not in self._runs]
        if not ours:
            return
        # A client of Dask that never leaves wants the results, so that the tasks outlive the real one.
        scheduler.client_desires_keys(ours, self.name)
        for _, run_id in ours:
            self._runs[run_id] = _Run(client)
        message = {"event": "accepted", "runs": [run_id for _, run_id in ours]}
        scheduler.client_send(client, self._event(message))

    def transition(self, key: Any, start: str, finish: str, *_args: Any, **_: Any) -> None:
        if not self._is_ours(key) or finish not in {"processing", "erred", "memory", "forgotten"}:
            return
        run_id = key[1]
        run = self._runs.get(run_id)
        if run is None or run.end is not None:
            return
        if finish == "processing":
            worker = self._scheduler.tasks[key].processing_on
            if worker is not None and not run.worker:  # a grant that comes with the task saves the wait for an answer
                self._grant(run_id, run, worker.address)
        elif finish == "forgotten":
            self._end(run_id, {"lost": "the task was cancelled in Dask"})
        elif finish == "memory":
            if run.worker in self._scheduler.workers:
                self._scheduler.worker_send(run.worker, {"op": f"{self.name}_cancel", "run": run_id})
            self._end(run_id, {"lost": f"Dask gave the run to another worker after {run.machine} had started it"})
        elif run.worker:
            self._end(run_id, {"lost": self._fault(key, run)})
        elif run.retries < MAX_RETRIES:  # it has never started
            run.retries += 1
            self._scheduler.loop.add_callback(self._retry, key)
        else:
            self._end(run_id, {"lost": f"{run.retries} workers died before they had started the run"})

    def restart(self, scheduler: Scheduler) -> None:
        for run_id, run in list(self._runs.items()):
            if run.end is None:
                self._end(run_id, {"lost": "the cluster was restarted"})

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        self._send_threads()

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        for run_id, run in list(self._runs.items()):
            if run.worker == worker and run.end is None:  # the worker left in order: its tasks go to other workers
                self._end(run_id, {"lost": f"the worker {run.machine} left the cluster"})
                self._release([run_id])
        self._send_threads()

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        self._clients.discard(client)

    # Details.

    def _end(self, run_id: str, result: Mapping[str, Any]) -> None:
        run = self._runs[run_id]
        run.ended = time.time()
        run.end = {"event": "ended", "run": run_id, **(self._place(run) if run.started else {}), **result}
        self._send(run, run.end)

    def _grant(self, run_id: str, run: _Run, worker: str) -> None:
        name = self._scheduler.workers[worker].name
        run.worker = worker
        run.machine = name if isinstance(name, str) else worker  # clusters may number their workers
        self._answer(run_id, worker, granted=True)

    def _answer(self, run_id: str, worker: str, *, granted: bool) -> None:
        self._scheduler.worker_send(worker, {"op": f"{self.name}_answer", "run": run_id, "granted": granted})

    def _place(self, run: _Run) -> dict[str, Any]:
        queued = max(run.started - run.submitted, 0.0)
        return {"worker": run.worker, "machine": run.machine, "queued": queued}

    def _fault(self, key: Any, run: _Run) -> str:
        task = self._scheduler.tasks.get(key)
        text = str(getattr(task, "exception_text", "") or "")
        if run.worker not in self._scheduler.workers or "KilledWorker" in text:
            return f"the worker {run.machine} died or was cut off"
        return f"the worker {run.machine} failed: {text}"

    def _retry(self, key: Any) -> None:
        task = self._scheduler.tasks.get(key)
        if task is not None and task.state == "erred":
            self._scheduler.stimulus_retry([key])

    def _release(self, runs: Sequence[str]) -> None:
        if runs and self.name in self._scheduler.clients:
            self._scheduler.client_releases_keys([(self.name, run_id) for run_id in runs], self.name)

    def _remove_old(self) -> None:
        now = time.time()
        self.release(
            [
                run_id
                for run_id, run in self._runs.items()
                if run.ended and now - run.ended > KEEP_SECONDS and run.client not in self._scheduler.client_comms
            ]
        )

    def _is_ours(self, key: Any) -> bool:
        return type(key) is tuple and len(key) == 2 and key[0] == self.name

    def _threads(self) -> int:
        return sum(worker.nthreads for worker in self._scheduler.workers.values())

    def _send(self, run: _Run, message: Mapping[str, Any]) -> None:
        self._scheduler.client_send(run.client, self._event(message))

    def _send_threads(self) -> None:
        message = self._event({"event": "threads", "threads": self._threads()})
        for client in self._clients:
            self._scheduler.client_send(client, message)

    def _event(self, message: Mapping[str, Any]) -> dict[str, Any]:
        # As the scheduler itself sends events, except that it would also keep the last 100,000 of them.
        return {"op": "event", "topic": self.name, "event": (time.time(), dict(message))}
