"""The kinds of value that the configuration file holds: how each is written, and what to say when it is not."""

import ipaddress
import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from bot.config.mistakes import nearest
from checks.model import FixId

# The text of every ValueError here completes the sentence "expected ...".

DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
LONGEST = timedelta(days=1)
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
JUMP = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


def _duration(value: object) -> timedelta:
    match = DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError("a duration with its unit, such as 5s, 5m or 1h30m")
    hours, minutes, seconds = (int(part[:6]) if part else 0 for part in match.groups())
    length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta(seconds=1) <= length <= LONGEST:
        raise ValueError("a duration from 1s to 24h")
    return length


def written(length: timedelta) -> str:
    """The shortest way to write it in the file."""
    seconds = int(length.total_seconds())
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def _clock(value: object) -> time:
    match = CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:  # without quotes YAML reads 22:00 as a number, in base 60
        raise ValueError('a time of the day in quotes, such as "22:00"')
    return time(int(match[1]), int(match[2]))


def _zone(value: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(value))
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError("a time zone that this machine knows, such as Europe/Berlin or UTC") from None


def _known_name(value: str) -> bool:
    """Whether it can be a DNS name or an address, IPv6 without brackets."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        numbers_only = value.replace(".", "").isdigit()  # 10.0.0.256 is a mistyped address, not a name
        labels = value.rstrip(".").split(".")
        return not numbers_only and len(value) <= 253 and all(map(LABEL.fullmatch, labels))  # noqa: PLR2004  # RFC 1035
    return True


def _address(value: str) -> str:
    if not _known_name(value):
        raise ValueError("a host name or an IP address, without a port or a scheme")
    return value


def _split(value: str) -> SplitResult | None:
    """The parts of a URL, or None where it is none. Its port is valid."""
    if any(character.isspace() or not character.isprintable() for character in value):
        return None
    try:
        parts = urlsplit(value)
        valid = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if valid and parts.hostname and _known_name(parts.hostname) else None


def _url(value: str) -> str:
    parts = _split(value)
    if parts is None or parts.scheme not in {"http", "https", "tcp"}:
        raise ValueError("a URL such as http://10.0.0.11:5000/v2/, https://registry.example/ or tcp://10.0.0.11:6379")
    if parts.username is not None:
        raise ValueError("a URL without a user name or password: the check needs no login")
    if parts.scheme == "tcp" and (parts.port is None or parts.path.strip("/")):
        raise ValueError("tcp:// with a host and a port and nothing more, such as tcp://10.0.0.11:6379")
    if parts.query or parts.fragment:
        raise ValueError("a URL without a query (?...) or a fragment (#...)")
    return value


def _api_url(value: str) -> str:
    parts = _split(value)
    if parts is None or parts.scheme not in {"http", "https"} or parts.username is not None:
        raise ValueError("the URL of a Slack Web API, such as https://slack.com/api/")
    return value.rstrip("/") + "/"


def _jump(value: str) -> str:
    if not all(JUMP.fullmatch(hop) for hop in value.split(",")):
        raise ValueError("a jump host such as bastion.example or user@bastion.example:22, several with commas")
    return value


def _home(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("a path: nobody's home directory is known for its ~") from None


def _listed(value: Any) -> Any:
    """A list, which the environment writes as ``U012ABCDEF,S0ONCALL``."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _matching(pattern: str, expected: str) -> Any:
    """A validator of text that must match as a whole."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


def _fix(value: object) -> FixId:
    try:
        return FixId(str(value))
    except ValueError:
        raise ValueError(nearest(str(value), FixId)) from None


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(written, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+h)?(\d+m)?(\d+s)?$", "examples": ["5s", "5m", "1h30m"]}),
]
Slug = Annotated[
    str,
    _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "a name of letters, digits, '.', '_' and '-', at most 63 of them"),
]
User = Annotated[str, _matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}", "a login name")]
Container = Annotated[
    str, _matching(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", "a container's name as `docker ps` shows it, without a leading /")
]
Channel = Annotated[
    str, _matching(r"#[^\s#@,A-Z<>]{1,80}|[CG][A-Z0-9]{2,}", "a Slack channel: '#name' in quotes, or its id (C...)")
]
ChannelId = Annotated[str, _matching(r"[CG][A-Z0-9]{2,}", "the id of a Slack channel (C...), not its name")]
Channels = Annotated[list[ChannelId], BeforeValidator(_listed)]
Approver = Annotated[
    str,
    _matching(
        r"[UWS][A-Z0-9]{2,}|terminal:[A-Za-z0-9_][A-Za-z0-9_.@-]{0,54}",
        "the id of a Slack user (U... or W...) or of a user group (S...), not a name, or terminal:LOGIN",
    ),
]
Approvers = Annotated[list[Approver], BeforeValidator(_listed)]
People = Annotated[int, Field(ge=1, le=10)]
Fix = Annotated[FixId, BeforeValidator(_fix), WithJsonSchema({"type": "string", "enum": list(FixId)})]
TimeOfDay = Annotated[
    time,
    BeforeValidator(_clock),
    WithJsonSchema({"type": "string", "pattern": f"^({CLOCK.pattern})$", "examples": ["22:00"]}),
]
Zone = Annotated[
    ZoneInfo, BeforeValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", "UTC"]})
]
Database = Annotated[
    str, _matching(r"[a-z0-9]+(\+[a-z0-9]+)?://\S+", "a database URL such as sqlite:///dockerhealth.db")
]
Address = Annotated[str, AfterValidator(_address)]
ServiceUrl = Annotated[str, AfterValidator(_url)]
ApiUrl = Annotated[str, AfterValidator(_api_url)]
ProxyJump = Annotated[str, AfterValidator(_jump)]
FilePath = Annotated[Path, AfterValidator(_home)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=1000)]
