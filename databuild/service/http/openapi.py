"""The OpenAPI document, made from the table of routes and the messages that they take and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from databuild.service.api.errors import HTTP_STATUSES
from databuild.service.api.json_codec import MOST, short_names
from databuild.service.api.routes import BYTES, JSON, PICTURE, PREFIX, ROUTES, Route
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
_OPERATIONS: Final = {BYTES: "DownloadLog", PICTURE: "DrawBuildGraph"}
"""What is called otherwise than its RPC, which has another form besides."""

_KNOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Struct": {"type": "object"},
}


def document() -> dict[str, Any]:
    """Returns the document, in OpenAPI 3.1.0."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        operations = paths.setdefault(PREFIX + route.path, {})
        operations[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "DataBuild", "version": _VERSION, "description": "Builds partitions and tells about builds."},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    error = {JSON: {"schema": _message(sv.DESCRIPTOR.message_types_by_name["ErrorResponse"], schemas)}}
    if route.form == JSON:
        answer = _message(route.answer, schemas)
    elif route.form in _OPERATIONS:
        answer = {"type": "string", "contentMediaType": route.form}
    else:
        _message(route.answer, schemas)
        answer = _event(route.answer.name)
    operation: dict[str, Any] = {
        "operationId": _OPERATIONS.get(route.form, route.rpc),
        "summary": route.summary,
        "parameters": [_parameter(field, "path") for field in route.request.fields if field.name in route.path_fields],
        "responses": {
            "200": {"description": "The answer.", "content": {route.form: {"schema": answer}}},
            **{str(status): {"description": "An error.", "content": error} for status in HTTP_STATUSES},
        },
    }
    if route.method == "GET":
        operation["parameters"] += [
            _parameter(field, "query") for field in route.request.fields if field.name not in route.path_fields
        ]
    else:
        schema = _message(route.request, schemas)
        operation["requestBody"] = {"required": False, "content": {JSON: {"schema": schema}}}
    return operation


def _event(data: str) -> dict[str, Any]:
    """Returns the schema of one event of a stream."""
    return {
        "type": "object",
        "description": f"Events whose data is {data} as JSON; then one called `end`, or where it fails, `error`.",
        "properties": {
            "id": {"type": "string", "description": "What to send as `Last-Event-ID` to go on after this one."},
            "event": {"type": "string", "enum": ["message", "error", "end"]},
            "data": {"type": "string", "contentMediaType": JSON},
        },
        "required": ["data"],
    }


def _parameter(field: FieldDescriptor, place: str) -> dict[str, Any]:
    schema: Mapping[str, Any] = _SCALARS.get(field.type, {})
    if field.enum_type is not None:
        schema = {"type": "string", "enum": short_names(field.enum_type)}
    elif field.type == FieldDescriptor.TYPE_UINT64:
        schema = {"type": "integer", "minimum": 0, "maximum": MOST}
    return {"name": field.name, "in": place, "required": place == "path", "schema": schema}


def _message(descriptor: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """Returns a reference to the schema of a message, which is added to the others with all that it holds."""
    if descriptor.name not in schemas:
        schemas[descriptor.name] = {}  # so that what holds itself ends
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
        known = _KNOWN.get(field.message_type.full_name)
        return dict(known) if known is not None else _message(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return dict(_SCALARS[field.type])
