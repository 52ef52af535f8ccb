"""A mistake in the configuration, in words: where it is, what was found, what was expected."""

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Keys = tuple[str | int, ...]

FOUND_LENGTH = 60
MOST_NAMES = 20
PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]+")
URL_LOGIN = re.compile(r"//[^/@\s]*@")
TOKEN = re.compile(r"\bx(?:ox[a-z]|app)-[A-Za-z0-9-]+")

EXPECTED = {
    "missing": "it to be there",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "list_type": "a list: [one, two]",
    "dict_type": "names with their settings below",
    "model_type": "keys with values below",
    "too_short": "at least one",
}


@dataclass(frozen=True)
class Mistake:
    """One thing to correct. ``where`` is ``FILE:LINE`` or the environment variable that it came from."""

    where: str
    path: str  # hosts.host1.services.registry.url; empty for the file as a whole
    found: str
    expected: str

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self.where}: {path}found {self.found}, expected {self.expected}"


class ConfigError(Exception):
    """The configuration cannot be used. Carries every mistake in it, in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


def path_text(keys: Keys) -> str:
    """``hosts.host1.address``; a key that would be misread stands in quotes."""
    return ".".join(key if PLAIN_KEY.fullmatch(key) else json.dumps(key) for key in map(str, keys))


def found_text(value: object) -> str:
    """A value as it may be shown: short, on one line, without a password or a token."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "keys with values" if value else "nothing below it"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            shown = TOKEN.sub("***", URL_LOGIN.sub("//***@", value))
            cut = shown if len(shown) <= FOUND_LENGTH else shown[: FOUND_LENGTH - 1] + "…"
            return json.dumps(cut, ensure_ascii=False)
        case _:
            return str(value)


def described(error: ErrorDetails, root: type[BaseModel]) -> tuple[Keys, str, str]:
    """Where an error of pydantic is, what was found there, and what was expected."""
    keys = tuple(key for key in error["loc"] if key != "[key]")
    if error["type"] == "extra_forbidden":
        return keys, "an unknown key", nearest(str(keys[-1]), keys_at(root, keys[:-1]))
    if error["type"] == "missing":
        return keys, "nothing", EXPECTED["missing"]
    return keys, found_text(keys[-1] if "[key]" in error["loc"] else error["input"]), _expected(error)


def _expected(error: ErrorDetails) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "enum":
            return str(context["expected"]).replace("'", "")
        case "greater_than_equal":
            return f"{_limit(context['ge'])} or more"
        case "less_than_equal":
            return f"{_limit(context['le'])} or less"
        case kind:
            return EXPECTED.get(kind, error["msg"])


def _limit(value: object) -> str:
    return f"{value.total_seconds():g}s" if isinstance(value, timedelta) else str(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """What was expected instead of a name that is not known."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"{near[0]} (did you mean that?)" if near else f"one of {', '.join(names[:MOST_NAMES])}"


def keys_at(root: type[BaseModel], keys: Keys) -> list[str]:
    """The keys that the file may have below a path."""
    kind: Any = root
    for key in keys:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _section(next(field.annotation for name, field in _fields(kind) if name == key))
        elif get_origin(kind) in {dict, list}:
            kind = get_args(kind)[-1]
    return [name for name, _ in _fields(kind) if not name.startswith(("slack_", "fallback_"))]


def _fields(section: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The fields under the names that the file has for them."""
    return [(field.alias or name, field) for name, field in section.model_fields.items()]


def _section(kind: Any) -> Any:
    """What may stand there where it may be left out: ``X`` of ``X | None``."""
    return get_args(kind)[0] if get_origin(kind) is UnionType else kind
