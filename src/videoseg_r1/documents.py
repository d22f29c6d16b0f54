"""JSON documents: one canonical way to write plain values, and strict reading back into frozen dataclasses.

What is read is untrusted: every value must have the type its field declares, and an error names the path to the value. Unknown keys
are ignored, so newer documents of the same schema stay readable. Not here: configuration (`config`, TOML and pydantic).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, cast

import numpy as np

from videoseg_r1.errors import InvalidDocument, SourceNotFound

_T = TypeVar("_T")
_NUMBERS = re.compile(r'\[\n\s+([^\[\]{}"]+?)\n\s+\]')


def to_json(value: object) -> str:
    """Return the canonical JSON of plain values, dataclasses and numpy numbers: sorted keys, two blanks, a newline at the end.

    The text encodes to UTF-8 whatever it holds: half a surrogate pair, as in names that are not UTF-8, is written as its escape.
    Raises: InvalidDocument: a value that JSON has no word for, NaN and infinity among them.
    """
    try:
        text = json.dumps(value, default=_plain, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDocument("a value cannot be written as JSON", why=str(error)) from error
    # lists of numbers on one line; text cannot match, as its line breaks are escapes
    text = _NUMBERS.sub(lambda found: "[" + ", ".join(found[1].split(",\n")).replace("  ", "") + "]", text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def to_plain(value: object) -> Any:
    """Return dicts with text as keys, lists, text, numbers, bools and None: what reading `to_json(value)` back would give.

    Raises: InvalidDocument: a value that JSON has no word for, NaN and infinity among them.
    """
    try:
        return _to_plain(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDocument("a value cannot be written as JSON", why=str(error)) from error


def read_json(path: str | Path) -> object:
    """Return the content of a JSON file. Raises SourceNotFound; InvalidDocument: not UTF-8, not JSON, NaN, or nested too deep."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise SourceNotFound("the document cannot be read", where=str(path), why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise InvalidDocument("not a JSON document", where=str(path), why=str(error)) from error


def build(kind: type[_T], value: object, where: str = "") -> _T:
    """Return `value`, as JSON gave it, as a `kind`: a dataclass or TypedDict of dataclasses, tuples, dicts, numbers and text.

    Raises: InvalidDocument: naming the path of the first value that is missing or of another type, after `where`.
    """
    return cast("_T", _build(kind, value, f"{where}: " if where else ""))


def at(path: str, key: object) -> str:
    """Return the path of a key: after the place of the document ("a.json: ") or the path so far."""
    return f"{path}{key}" if not path or path.endswith(": ") else f"{path}.{key}"


def check_schema(value: object, schema: str, where: str = "") -> dict[str, Any]:
    """Return the document if it says that it follows `schema`. Raises InvalidDocument."""
    found = cast("dict[str, Any]", value).get("schema") if isinstance(value, dict) else None
    if found != schema:
        fix = "was it written by another version, or is it another kind of file?"
        raise InvalidDocument("this is another kind of document", where=where, why=f"schema is {found!r}, expected {schema!r}", fix=fix)
    return cast("dict[str, Any]", value)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no plain value")


def _to_plain(value: object) -> Any:
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, dict):
        members = cast("dict[Any, object]", value)
        return {_member_name(key): _to_plain(item) for key, item in sorted(members.items(), key=lambda member: member[0])}
    if value is None or isinstance(value, str | int | float):
        return _plain_scalar(value)
    return _to_plain(_plain(value))


def _plain_scalar(value: str | float | None) -> str | float | bool | None:
    """Return the value without what a subclass adds to it. Raises ValueError: NaN or infinity."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value)
    if not math.isfinite(value):
        raise ValueError(f"{float(value)} is not a number in JSON")
    return float(value)


def _member_name(key: object) -> str:
    """Return the name that JSON gives to a key of a dict."""
    if isinstance(key, str):
        return _text(key)
    if key is None or isinstance(key, int | float):
        return json.dumps(key, allow_nan=False)
    raise TypeError(f"{type(key).__name__} is no key of a JSON object")


def _text(value: str) -> str:
    """Return the text; two halves of a surrogate pair that stand together are one character, as they are in JSON."""
    return str.__str__(value) if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _build(kind: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in (object, Any):
        return value
    if origin in (types.UnionType, Union):
        return None if value is None else _build(next(arg for arg in args if arg is not types.NoneType), value, path)
    if origin is Literal and value in args:
        return value
    if origin in (tuple, list) and isinstance(value, list):
        return origin(_items(args, cast("list[Any]", value), path))
    if isinstance(value, dict) and (origin in (dict, Mapping) or dataclasses.is_dataclass(kind) or typing.is_typeddict(kind)):
        return _members(kind, cast("dict[str, Any]", value), path)
    return _scalar(kind, value, path)


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if kind is float and type(value) in (int, float) and abs(value) < 1e300 and not math.isnan(value):
        return float(value)
    if kind in (int, str, bool) and type(value) is kind:
        return value
    raise _wrong(path, kind, value)


def _items(args: tuple[Any, ...], values: list[Any], path: str) -> list[Any]:
    kinds = args if args[-1] is not Ellipsis and len(args) > 1 else args[:1] * len(values)
    if len(kinds) != len(values):
        raise _wrong(path, f"{len(kinds)} values", values)
    return [_build(kind, item, f"{path}[{k}]") for k, (kind, item) in enumerate(zip(kinds, values, strict=True))]


def _members(kind: Any, members: dict[str, Any], path: str) -> Any:
    args = typing.get_args(kind)
    if args:
        return {_key(args[0], key, path): _build(args[1], item, at(path, key)) for key, item in members.items()}
    hints = _hints(kind)
    optional = {name for name, default in getattr(kind, "__dataclass_fields__", {}).items() if _has_default(default)}
    for name in hints:
        if name not in members and name not in optional:
            raise InvalidDocument("a key is missing", where=at(path, name), fix="add it, or create the document again")
    return kind(**{name: _build(hint, members[name], at(path, name)) for name, hint in hints.items() if name in members})


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _key(kind: Any, key: str, path: str) -> Any:
    if kind is int and key.isascii() and key.isdigit() and len(key) <= 12:
        return int(key)
    return _scalar(kind, key, at(path, key))


def _wrong(path: str, kind: Any, value: object) -> InvalidDocument:
    shown = repr(value)
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return InvalidDocument("a value has the wrong type", where=path, why=f"expected {name}, found {shown[:60]}")
