"""Root's part of a look: one session of dockerhealth-root, which sudo begins once."""

from dataclasses import dataclass

from checks.commands import ROOT_HELPER
from checks.source import Outputs, Probe, Source

SESSION = "root-session"


@dataclass(frozen=True)
class RootSession:
    """``waited``: seconds until sudo had begun it."""

    waited: float


def parse(outputs: Outputs) -> RootSession:
    """The number of seconds between both beginnings, which gather writes down."""
    return RootSession(float(outputs[SESSION].stdout))


ROOT_SESSION = Source("root's session", (Probe(SESSION, f"{ROOT_HELPER} look", root=True),), parse)
