"""`serve`: serves the graph over HTTP and gRPC until it is stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Sequence

from databuild.cli.backend.build_settings import build_settings
from databuild.cli.backend.engines import chosen_executor, engines
from databuild.cli.backend.exporting import environment_exports, open_exporters, start_exports
from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.job_environment import TOKENS_VARIABLE
from databuild.cli.backend.local_build import FORCED_GRACE_SECONDS, number_of_jobs
from databuild.cli.backend.log_stores import chosen_log_store, storages
from databuild.cli.backend.origin import with_origin
from databuild.cli.backend.state_directories import print_hint
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.usage_error import UsageError
from databuild.event_log import liveness
from databuild.executors.capacity import capacity_of
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.local import LocalExecutor
from databuild.service.process.options import ServerOptions, TlsFiles, load_tokens
from databuild.service.process.server import Addresses, serve
from databuild.service.resources.limits import Limits


def run(call: Invocation) -> int:
    """Serves until SIGINT, SIGTERM or SIGHUP."""
    if call.positionals:
        raise UsageError(f"serve takes only flags, not {call.positionals[0]!r}", call.command)
    options = _options(call)
    options.check()  # before the event log is opened, and created
    logging.basicConfig(format="databuild: %(message)s", level=logging.WARNING)
    print_hint(call)
    call.catalog()
    asyncio.run(_serve(call, options))
    return BUILT


async def _serve(call: Invocation, options: ServerOptions) -> None:
    executors: list[LocalExecutor] = []
    environ = call.job_environ

    descriptor_limit = DescriptorLimit()
    # The limit counts for HTTP and for gRPC, so that connections take at most half of all descriptors.
    connections = min(Limits().max_connections, descriptor_limit.highest // 4)
    capacity = capacity_of(descriptor_limit, connections=2 * connections)
    jobs = number_of_jobs(call, capacity)

    def make_executor() -> LocalExecutor:
        executors.append(
            LocalExecutor(
                base_env=environ,
                grace_seconds=call.flags["grace_period"],
                descriptor_limit=descriptor_limit,
                capacity=capacity,
                process=liveness.this_process(),
                max_processes=jobs,
                worker_idle_seconds=call.flags["worker_idle_seconds"],
            )
        )
        return executors[-1]

    stop, force_stop = asyncio.Event(), asyncio.Event()
    _handle_signals(call, executors, stop, force_stop)
    exporters = open_exporters(call, call.environment)
    event_log = call.open_event_log()
    exports = start_exports(call, event_log, exporters)
    environments = call.environment_logs()
    of_environments = environment_exports(call) if exports is not None and environments is not None else None

    def started(addresses: Addresses) -> None:
        # All objects so far live as long as the service. A collection of garbage would visit them, for 30 ms at once.
        gc.freeze()
        _print_addresses(call, addresses)

    await serve(
        options,
        catalog=call.catalog(),
        event_log=event_log,
        make_executor=make_executor,
        settings=with_origin(build_settings(call)._replace(gc_while_planning=True), call),
        limits=Limits(
            max_builds=call.flags["max_builds"],
            default_jobs=jobs,
            default_jobs_on_engine=call.flags["jobs"] or 0,
            default_executor=chosen_executor(call),
            default_log_store=chosen_log_store(call),
            max_connections=connections,
            previews=call.flags["previews"],
        ),
        descriptor_limit=descriptor_limit,
        stop=stop,
        force_stop=force_stop,
        started=started,
        engines=engines(call),
        storages=storages(call),
        environments=environments,
        environment_exports=of_environments,
    )
    if exports is not None:
        left = of_environments.leave() if of_environments is not None else ()
        await asyncio.to_thread(exports.stop, call.flags["exporter_seconds"], left)


def _handle_signals(
    call: Invocation, executors: Sequence[LocalExecutor], stop: asyncio.Event, force_stop: asyncio.Event
) -> None:
    """Sets `stop` after the first signal, and `force_stop` after the second."""

    def on_signal() -> None:
        if stop.is_set():
            force_stop.set()
            for executor in executors:
                executor.grace_seconds = min(executor.grace_seconds, FORCED_GRACE_SECONDS)
            call.err.line("databuild: stopping now")
        else:
            stop.set()
            call.err.line("databuild: stopping when running builds have ended; a second signal stops now")
        call.err.flush()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup starts programs with SIGHUP ignored
            loop.add_signal_handler(number, on_signal)


def _options(call: Invocation) -> ServerOptions:
    flags = call.flags
    tls = None
    if flags["tls_cert"] or flags["tls_key"] or flags["tls_client_ca"]:
        if not (flags["tls_cert"] and flags["tls_key"]):
            raise UsageError("TLS needs both --tls_cert and --tls_key", call.command)
        authority = call.path(flags["tls_client_ca"]) if flags["tls_client_ca"] else ""
        tls = TlsFiles(
            certificate=call.path(flags["tls_cert"]), key=call.path(flags["tls_key"]), client_authority=authority
        )
    path = call.path(flags["token_file"]) if flags["token_file"] else ""
    return ServerOptions(
        host=flags["host"],
        port=flags["port"],
        grpc_port=flags["grpc_port"],
        tokens=load_tokens(path, call.environ.get(TOKENS_VARIABLE, "")),
        tls=tls,
        insecure_listen=flags["insecure_listen"],
        allowed_hosts=tuple(flags["allowed_host"]),
        drain_seconds=flags["drain_seconds"],
        leave_builds=flags["on_shutdown"] == "leave",
    )


def _print_addresses(call: Invocation, addresses: Addresses) -> None:
    if call.json:
        call.out.json({"graph_label": call.graph_label, "http": addresses.http, "grpc": addresses.grpc})
    else:
        call.out.line(f"serving {call.graph_label} at {addresses.http} (HTTP) and {addresses.grpc} (gRPC)")
    call.out.flush()
