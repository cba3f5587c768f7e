"""The description of the prediction API for programs (OpenAPI 3.1)."""

from typing import Any

from core.settings import LIMITS, VERSION
from core.web.api.request_pictures import PICTURES

_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_REFUSALS = {
    "400": "The body did not arrive whole, or is not the form that it says.",
    "401": "There is no key, or it is not one of this demo, or it was revoked.",
    "404": "There is no such demo, or it has ended.",
    "413": f"More than {LIMITS.api_bytes >> 20} MB, or more than {PICTURES} pictures.",
    "422": "The picture cannot be used; `error` says why.",
    "429": "More pictures a minute than the key allows, or too many wrong keys; `Retry-After` says when to ask again.",
    "503": "Too many pictures wait already, or the model cannot answer.",
}
_OF_KEYS = ("401", "404", "429")


def document(path: str, needs_key: bool) -> dict[str, Any]:
    """The description of the API whose predictions are asked at this path."""
    has_token = "{token}" in path
    predict: dict[str, Any] = {
        "operationId": "predict",
        "summary": "Ask the model about one or several pictures",
        "parameters": [*([_parameter("path", "token", _TEXT, "The token in the address of the demo")] * has_token)],
        "requestBody": {"required": True, "content": _bodies()},
        "responses": {"200": _answer("The answers, in the order of the pictures", _reference("Answers"))},
    }
    flag = {"type": "integer", "enum": [0, 1]}
    predict["parameters"].append(_parameter("query", "heatmap", flag, "1: with the heat map of each answer"))
    for status, meaning in _REFUSALS.items():
        if needs_key or status not in _OF_KEYS:
            predict["responses"][status] = _answer(meaning, _reference("Refusal"))
    schemas = {"Answers": _ANSWERS, "Prediction": _PREDICTION, "Refusal": _REFUSAL}
    components: dict[str, Any] = {"schemas": schemas}
    if needs_key:
        predict["security"] = [{"key": []}]
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    health = {"operationId": "health", "summary": "Whether the server answers"}
    state = {"type": "object", "properties": {"status": _TEXT, "version": _TEXT}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headstart", "version": VERSION, "summary": "Answers of an image classifier"},
        "paths": {
            path: {"post": predict},
            "/api/v1/health": {"get": health | {"responses": {"200": _answer("It does", state)}}},
        },
        "components": components,
    }


def _parameter(place: str, name: str, schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    return {"in": place, "name": name, "required": place == "path", "schema": schema, "description": meaning}


def _bodies() -> dict[str, Any]:
    one = {"schema": {"type": "string", "format": "binary"}}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "properties": {"file": files}}}
    return {"application/octet-stream": one, "image/*": one, "multipart/form-data": form}


def _answer(meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_PREDICTION = {
    "type": "object",
    "required": ["verdict"],
    "properties": {
        "file": _TEXT | {"description": "The name of the file in a form"},
        "verdict": _TEXT
        | {
            "enum": ["answer", "unsure", "unknown", "unreadable"],
            "description": "unsure: below the threshold; unknown: none of the classes; unreadable: `error` says why",
        },
        "label": {"type": ["string", "null"], "description": "The class, where the verdict is answer"},
        "classes": {
            "type": "array",
            "description": "All classes, the most probable first",
            "items": {"type": "object", "properties": {"label": _TEXT, "probability": _NUMBER}},
        },
        "threshold": _NUMBER | {"description": "The probability below which the answer is unsure"},
        "distance": _NUMBER | {"description": "How far the picture is from the training pictures, 0 to 2"},
        "farthest": {"type": ["number", "null"], "description": "The distance beyond which a picture is unknown"},
        "heatmap": _TEXT | {"description": "A PNG as a data URL, with heatmap=1, if the model knows places"},
        "error": _TEXT,
        "hint": _TEXT,
    },
}
_ANSWERS = {
    "type": "object",
    "required": ["predictions", "milliseconds"],
    "properties": {
        "predictions": {"type": "array", "items": _reference("Prediction")},
        "milliseconds": _NUMBER | {"description": "From the last byte of the request to the answer"},
    },
}
_REFUSAL = {
    "type": "object",
    "required": ["error", "hint", "code"],
    "properties": dict.fromkeys(("error", "hint", "code"), _TEXT),
}
