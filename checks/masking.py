"""Takes secrets out of what hosts print before anybody keeps or shows it. Pure.

Whoever runs a command on a host may give it a password, and the host's journal has that line; a container's health
check prints what it was asked with. What a look finds out is kept, posted and logged, so it is masked before. Known are
the ways in which secrets are written down, not the secrets: one that stands alone is not recognised.
"""

import functools
import re
from dataclasses import fields, is_dataclass, replace
from operator import is_
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
        r"(\b)(?:gh[opsur]_\w{20,}|glpat-[\w-]{16,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)",
        r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).+?(?=-----END|\Z)",
    )
)
_HINTS = (
    *("://", "pass", "secret", "token", "key", "credential", "authorization", "bearer"),
    *(
        "mysql",
        "mariadb",
        "login",
        "curl",
        "wget",
        "xox",
        "xapp",
        "gho_",
        "ghp_",
        "ghs_",
        "ghu_",
        "ghr_",
        "glpat",
        "akia",
        "eyj",
    ),
)
"""One of these stands in whatever is masked, in small letters: to look for them costs a tenth of what patterns do."""

T = TypeVar("T")


def masked(text: str) -> str:
    """The text, with ``***`` in the place of each secret. What was masked once stays as it is."""
    small = text.lower()
    for hint in _HINTS:  # no generator: a report has hundreds of texts, and looks of a crowd thousands of reports
        if hint in small:
            break
    else:
        return text
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def without_secrets(value: T) -> T:
    """The same value, all texts within it masked, but those of plans: what these run is what was shown and approved."""
    return _without(value, set())  # type: ignore[no-any-return]  # of the same type


def _without(value: Any, clean: set[str]) -> Any:
    """What has no secret stays the same object: most of a report is looked at, and nothing of it made anew.

    ``clean`` are the texts that have none: the reports on the services of a host say much of the same.
    """
    kind = type(value)
    if kind is str:
        if value in clean:
            return value
        after = masked(value)
        if after == value:
            clean.add(value)
        return after
    if kind is tuple or kind is list:
        each = [_without(one, clean) for one in value]
        return value if all(map(is_, each, value)) else kind(each)
    if kind is dict:  # its keys are names of ours
        values = [_without(one, clean) for one in value.values()]
        return value if all(map(is_, values, value.values())) else dict(zip(value, values, strict=True))
    changed = {}
    for name in _names(kind):  # type: ignore[arg-type]  # a type can be hashed
        before = getattr(value, name)
        if not before:  # what is empty has no text
            continue
        after = _without(before, clean)
        if after is not before:
            changed[name] = after
    return replace(value, **changed) if changed else value


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass in which texts may be; none of what is no dataclass, and of a plan."""
    if not is_dataclass(kind) or kind is Plan:
        return ()
    return tuple(each.name for each in fields(kind) if each.init)
