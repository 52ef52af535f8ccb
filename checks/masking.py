"""Takes secrets out of what hosts print before anybody keeps or shows it. Pure.

Whoever runs a command on a host may give it a password, and the host's journal has that line; a container's health
check prints what it was asked with. What a look finds out is kept, posted and logged, so it is masked before. Known are
the ways in which secrets are written down, not the secrets: one that stands alone is not recognised.
"""

import re
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from checks.model import Plan

MASK = "***"

_NAMES = r"[\w.-]*(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials)[\w.-]*"
_IS = r"\\?[\"']?\s*[=:]\s*\\?[\"']?"  # also within JSON that is a text itself
_VALUE = r"(?:(?<=\")[^\"\\]+|(?<=')[^'\\]+|[^\s\"',;&\\]+)"

_SECRETS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), rf"\g<1>{MASK}")
    for pattern in (
        r"(://[^\s/:@]*:)[^\s/@]+(?=@)",  # a URL with a login
        rf"(\b(?:proxy-)?authorization{_IS}(?:(?:bearer|basic|token)\s+)?){_VALUE}",
        rf"(\bx-[\w-]*(?:token|key){_IS}){_VALUE}",
        r"(\bbearer\s+)[\w.~+/=-]{8,}",
        rf"(\b{_NAMES}{_IS}){_VALUE}",  # PASSWORD=..., "token": "..."
        rf"(--?{_NAMES}[\s=]+[\"']?){_VALUE}",  # --password ...
        rf"(\b(?:mysql|mariadb)\w*\b[^;|&\n]*?\s-p[\"']?){_VALUE}",
        rf"(\b(?:docker|podman|helm)\b[^;|&\n]*?\blogin\b[^;|&\n]*?\s-p[\s=]*[\"']?){_VALUE}",
        rf"(\bsshpass\s+-p\s*[\"']?){_VALUE}",
        rf"(\b(?:curl|wget)\b[^;|&\n]*?\s(?:-u|--user)[\s=]*[\"']?[^\s:\"']+:){_VALUE}",
        r"(\b)(?:xox[a-z]|xapp)-[\w-]{10,}",  # Slack's
        r"(\b)(?:gh[a-z]_\w{20,}|glpat-[\w-]{16,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)",
        r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).+?(?=-----END|\Z)",
    )
)
_MAY_BE = re.compile(
    r"://|pass|secret|token|key|credential|authorization|bearer|mysql|mariadb|login|curl|wget|xox|xapp|gh._|glpat|akia|eyJ",
    re.IGNORECASE,
)

T = TypeVar("T")


def masked(text: str) -> str:
    """The text, with ``***`` in the place of each secret. What was masked once stays as it is."""
    if _MAY_BE.search(text) is None:
        return text
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def without_secrets(value: T) -> T:
    """The same value, all texts within it masked, but those of plans: what these run is what was shown and approved."""
    return _without(value)  # type: ignore[no-any-return]  # of the same type


def _without(value: Any) -> Any:
    match value:
        case Enum() | Plan():
            return value
        case str():
            return masked(value)
        case tuple() | list():
            return type(value)([_without(each) for each in value])
        case dict():
            return {_without(key): _without(each) for key, each in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    before = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
    after = {name: _without(each) for name, each in before.items()}
    changed = {name: each for name, each in after.items() if each != before[name]}
    return replace(value, **changed) if changed else value
