"""The base of all models of the spec, frozen and without unknown keys, and the types that several of them use."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from include.contract.document import Document
from include.errors import listed, near

_DURATION = re.compile(r"^(-?)(\d+)([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class StrictModel(Document):
    """A part of the spec: immutable; an unknown key is an error that suggests a near one."""

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        # Before pydantic's own check, whose message does not name the known keys.
        known = {field.alias or name for name, field in cls.model_fields.items()}
        for key in value:
            if key not in known and key not in cls.model_fields:
                hint = near(str(key), known)
                message = f"'{key}' is no key here; known keys: {listed(known)}.{hint}"
                raise PydanticCustomError("unknown_key", "{message}", {"message": message})
        return value


def _parse_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    # Pydantic would also take ISO 8601 and bare numbers, whose unit a reader of the spec has to guess.
    match = _DURATION.match(value) if isinstance(value, str) else None
    if not match:
        message = f"'{value}' is no duration; write a whole number and a unit of s, m, h or d, like 90s or -2h"
        raise PydanticCustomError("duration", "{message}", {"message": message})
    sign, number, unit = match.groups()
    return timedelta(seconds=int(sign + number) * _SECONDS[unit])


def _write_duration(value: timedelta) -> str:
    return f"{int(value.total_seconds())}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(_write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern, "examples": ["90s", "-2h", "1d"]}),
]
"""A length of time such as ``90s``, ``30m``, ``-2h`` or ``1d``."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
"""A word of lower-case letters, digits and underscores; it is used in table names, task ids and metrics."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A fraction from 0 to 1."""

FunctionName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*:[a-z_][a-z0-9_]*$")]
"""``module:function`` inside the project's own folder."""
