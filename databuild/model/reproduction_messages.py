"""Conversion between reproductions and their messages."""

from __future__ import annotations

import json

from databuild.model.metadata import metadata_json
from databuild.model.record_messages import (
    job_run_from_message,
    job_run_to_message,
    location_from_message,
    location_to_message,
)
from databuild.model.records import Location
from databuild.model.reproduction import Origin, Reproduction, ReproductionInput, ReproductionOutput
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv


def origin_from_message(message: ev.BuildOrigin) -> Origin:
    return Origin(message.commit, message.machine, message.platform, message.working_directory)


def reproduction_to_message(reproduction: Reproduction) -> sv.Reproduction:
    origin = reproduction.origin
    message = sv.Reproduction(
        job_run=job_run_to_message(reproduction.job_run),
        graph_label=reproduction.graph_label,
        origin=ev.BuildOrigin(**origin._asdict()) if origin != Origin() else None,
        code_digest=reproduction.code_digest,
        args=reproduction.args,
        environment_names=reproduction.environment_names,
    )
    for used in reproduction.inputs:
        described = message.inputs.add(
            ref=used.ref,
            version=used.version,
            query=used.query,
            current_version=used.current_version,
            location=_location(used.location),
        )
        if used.metadata:
            described.metadata.update(used.metadata)
    for output in reproduction.outputs:
        made = message.outputs.add(ref=output.ref, version=output.version, location=_location(output.location))
        if output.metadata:
            made.metadata.update(output.metadata)
    return message


def reproduction_from_message(message: sv.Reproduction) -> Reproduction:
    return Reproduction(
        job_run=job_run_from_message(message.job_run),
        graph_label=message.graph_label,
        origin=origin_from_message(message.origin),
        code_digest=message.code_digest,
        args=tuple(message.args),
        environment_names=tuple(message.environment_names),
        inputs=tuple(
            ReproductionInput(
                used.ref,
                used.version,
                used.query,
                used.current_version,
                location_from_message(used.location) if used.HasField("location") else None,
                json.loads(metadata_json(used.metadata)),
            )
            for used in message.inputs
        ),
        outputs=tuple(
            ReproductionOutput(
                made.ref,
                made.version,
                location_from_message(made.location) if made.HasField("location") else None,
                json.loads(metadata_json(made.metadata)),
            )
            for made in message.outputs
        ),
    )


def _location(location: Location | None) -> pt.Location | None:
    return location_to_message(location) if location is not None else None
