"""Where facts come from: probes, the outputs that they left, and the snapshot that parses them when it is asked."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from checks.model import Lacking, Output

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # control characters: no probe's program prints any

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Unavailable:
    """A fact that could not be had, and why. Never the same as an empty value."""

    reason: str
    silent: bool = False  # whoever was asked is there, and did not answer in time


class UnparsableError(ValueError):
    """A parser does not recognise what a command printed. The fact becomes Unavailable with this text."""


@dataclass(frozen=True)
class Probe:
    """A read-only command of the gather script.

    ``command`` is POSIX shell text fixed in the source. Its only input is ``$SERVICES``, which gather sets (see
    there). A ``root`` command is an absolute path with fixed arguments, no shell: one exact line of the sudoers file.
    ``before`` is cheap shell text that runs first, without root, where the command costs much. If it fails, its status
    is the probe's, and the command is not run. Probes that have the same share it, and it is within their deadline.
    ``of_ipv6``: it is asked only where a service may be reached by IPv6.
    """

    name: str
    command: str
    root: bool = False
    timeout: int = 5  # seconds, enforced on the host; those that have the same share the process that minds it
    before: str = ""
    of_ipv6: bool = False


@dataclass(frozen=True)
class EngineProbe:
    """A read of the Docker Engine API through the SDK. Its answer is kept as JSON text."""

    name: str
    call: Callable[[Any], Any]  # docker.DockerClient -> JSON-like


@dataclass(frozen=True)
class WatchProbe:
    """What the root helper hands over after it has watched known attempts: in no other look has it an output."""

    name: str


Outputs = Mapping[str, Output]

Gaps = Mapping[str, str]
"""Parts of a fact that could not be had, each with the reason."""


def _whole(_: object) -> Gaps:
    return {}


@dataclass(frozen=True, eq=False)
class Source(Generic[T_co]):
    """Where a fact comes from: its probes and the pure parser that makes one typed value of their outputs.

    ``parse`` raises UnparsableError where it does not recognise what it reads. ``gaps`` names what a value lacks of
    itself: a part that could not be had costs that part alone.
    """

    name: str
    probes: tuple[Probe | EngineProbe | WatchProbe, ...]
    parse: Callable[[Outputs], T_co | Unavailable]
    gaps: Callable[[Any], Gaps] = _whole


class Facts:
    """One snapshot: all facts of one host at one time. Values are parsed when they are first asked for."""

    def __init__(
        self, host: str, at: datetime, outputs: Outputs, missing: Mapping[str, Unavailable] | None = None
    ) -> None:
        """``missing`` maps a probe's name to why it has no output."""
        self.host = host
        self.at = at
        self.outputs = outputs
        self.missing = missing or {}
        self._parsed: dict[str, object] = {}

    def get(self, source: Source[T]) -> T | Unavailable:
        """The value of a fact, or why it could not be had."""
        if source.name not in self._parsed:
            self._parsed[source.name] = self._parse(source)
        return cast("T | Unavailable", self._parsed[source.name])

    def unavailable(self, sources: Iterable[Source[Any]]) -> tuple[Lacking, ...]:
        """Those of these facts that were asked for and could not be had, wholly or in part."""
        return tuple(lacking for source in sources if self._asked(source) for lacking in self._lacking(source))

    def _asked(self, source: Source[Any]) -> bool:
        return all(probe.name in self.outputs or probe.name in self.missing for probe in source.probes)

    def _lacking(self, source: Source[Any]) -> Iterator[Lacking]:
        value = self.get(source)
        if isinstance(value, Unavailable):
            yield Lacking(source.name, value.reason)
            return
        for part, why in source.gaps(value).items():
            yield Lacking(f"{source.name}: {part}", why)

    def _parse(self, source: Source[Any]) -> object:
        for probe in source.probes:
            if probe.name not in self.outputs:
                return self.missing.get(probe.name, Unavailable(f"{probe.name} was not asked"))
            if _NO_TEXT.search(self.outputs[probe.name].stdout):
                return Unavailable(f"{probe.name} printed what is no text")
        try:
            return source.parse(self.outputs)
        except UnparsableError as error:
            return Unavailable(str(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, no parser expects that shape; it costs this fact alone
            return Unavailable(f"its output cannot be read: {error!r}")
