"""The host's own name: where nobody answers for it, each sudo waits, the product's own and everybody's."""

import shlex

from checks.causes.cause import Cause, Judgement, passed, risk
from checks.facts.own_name import OWN_NAME
from checks.facts.root_session import ROOT_SESSION
from checks.look import Look
from checks.model import Evidence

_SLOW = 3.0
"""Seconds that sudo takes at most where nothing is wrong. A silent name server costs 5 a try (resolv.conf(5))."""


def _own_name_unanswered(look: Look) -> Judgement:
    """Sudo looks the host's own name up each time that it is run (seen with 1.9.13 and 1.9.16)."""
    name, session = look.need(OWN_NAME), look.need(ROOT_SESSION)
    if not name.asks_a_server:
        return passed(f"{name.name} is known without a name server")
    if session.waited < _SLOW:
        return passed(f"sudo began within {session.waited:.1f} s")
    entry = shlex.quote(f"127.0.1.1 {name.name}")
    servers = " ".join(name.servers) or "the one on the host itself"
    return risk(
        Evidence("own name", f"sudo began after {session.waited:.0f} s: {name.name} is not in /etc/hosts"),
        Evidence("own name", f"so a name server is asked for it, which does not answer: {servers}"),
        Evidence("own name", f"this mends it: echo {entry} | sudo tee -a /etc/hosts"),
    )


OWN_NAME_UNANSWERED = Cause("own-name-unanswered", "every sudo waits for a silent name server", _own_name_unanswered)
