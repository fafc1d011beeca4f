"""The OpenAPI document, generated from the table of routes and the descriptors of their messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from databuild.service.api.errors import HTTP_STATUSES
from databuild.service.api.json_codec import MAX_INTEGER, short_names
from databuild.service.api.routes import JSON, OCTET_STREAM, PREFIX, ROUTES, SVG, Route
from databuild.v1 import service_pb2 as sv

_VERSION: Final = "1"
_INTEGERS: Final = {
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
}
_SCALARS: Final[Mapping[int, Mapping[str, Any]]] = {
    **_INTEGERS,
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "pattern": "^[0-9]{1,19}$"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]{1,18}$"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_OPERATION_IDS: Final = {
    ("FollowLog", OCTET_STREAM): "DownloadLog",
    ("GetBuildGraph", SVG): "DrawBuildGraph",
    ("GetGraph", SVG): "DrawGraph",
}
"""Operation ids of second routes to one RPC, by RPC and media type. All others have the name of their RPC."""

_WELL_KNOWN_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Struct": {"type": "object"},
}


_ENVIRONMENT: Final[Mapping[str, Any]] = {
    "name": "environment",
    "in": "query",
    "required": False,
    "description": "The environment that the request is about; the header `Databuild-Environment` names it as well.",
    "schema": {"type": "string"},
}


def openapi_document() -> dict[str, Any]:
    """Returns the document, in version 3.1.0 of OpenAPI."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        operations = paths.setdefault(PREFIX + route.path, {})
        operations[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DataBuild",
            "version": _VERSION,
            "description": "Builds partitions, and shows builds, partitions and jobs.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    error = {JSON: {"schema": _message(sv.DESCRIPTOR.message_types_by_name["ErrorResponse"], schemas)}}
    if route.media_type == JSON:
        response = _message(route.response, schemas)
    elif route.media_type in (OCTET_STREAM, SVG):
        response = {"type": "string", "contentMediaType": route.media_type}
    else:
        # OpenAPI 3.1 cannot refer from the data of an event to its schema. Add it anyway: the description names it.
        _message(route.response, schemas)
        response = _server_sent_event(route.response.name)
    operation: dict[str, Any] = {
        "operationId": _OPERATION_IDS.get((route.rpc, route.media_type), route.rpc),
        "summary": route.summary,
        "parameters": [_parameter(field, "path") for field in route.request.fields if field.name in route.path_fields],
        "responses": {
            "200": {"description": "The response.", "content": {route.media_type: {"schema": response}}},
            **{str(status): {"description": "An error.", "content": error} for status in HTTP_STATUSES},
        },
    }
    if "environment" not in route.path_fields:
        operation["parameters"].append(dict(_ENVIRONMENT))
    if route.method == "GET":
        operation["parameters"] += [
            _parameter(field, "query") for field in route.request.fields if field.name not in route.path_fields
        ]
    else:
        schema = _message(route.request, schemas)
        operation["requestBody"] = {"required": False, "content": {JSON: {"schema": schema}}}
    return operation


def _server_sent_event(data: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": f"Events with {data} as JSON. The last event is `end`, or `error` if the stream fails.",
        "properties": {
            "id": {
                "type": "string",
                "description": "The value of `Last-Event-ID` that resumes the stream after this event.",
            },
            "event": {"type": "string", "enum": ["message", "error", "end"]},
            "data": {
                "type": "string",
                "contentMediaType": JSON,
                "description": "The message. Events of builds leave out fields that have their default.",
            },
        },
        "required": ["data"],
    }


def _parameter(field: FieldDescriptor, location: str) -> dict[str, Any]:
    schema: Mapping[str, Any] = _SCALARS.get(field.type, {})
    if field.enum_type is not None:
        schema = {"type": "string", "enum": short_names(field.enum_type)}
    elif field.type == FieldDescriptor.TYPE_UINT64:
        schema = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
    if field.is_repeated:  # the parameter is repeated, which is the default style of a query in OpenAPI
        schema = {"type": "array", "items": schema}
    return {"name": field.name, "in": location, "required": location == "path", "schema": schema}


def _message(descriptor: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """Returns a reference to the schema of a message. Adds that schema and those of its fields to `schemas`."""
    if descriptor.name not in schemas:
        # A placeholder ends the recursion for a message that contains itself.
        schemas[descriptor.name] = {}
        schemas[descriptor.name] = {
            "type": "object",
            "properties": {field.name: _field(field, schemas) for field in descriptor.fields},
            "additionalProperties": False,
        }
    return {"$ref": f"#/components/schemas/{descriptor.name}"}


def _field(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _single(message.fields_by_name["value"], schemas)}
    single = _single(field, schemas)
    return {"type": "array", "items": single} if field.is_repeated else single


def _single(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        well_known = _WELL_KNOWN_TYPES.get(field.message_type.full_name)
        return dict(well_known) if well_known is not None else _message(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return dict(_SCALARS[field.type])
