"""Which rights a plan needs on its host, as lines of its sudoers files, and which of them are missing. Pure."""

import re
from collections.abc import Sequence

from checks.commands import ROOT_HELPER, privileged
from checks.facts.rights import RIGHTS
from checks.look import Look
from checks.model import Plan

_SPECIAL = re.compile(r"([,:=\\])")

LOOKS: tuple[tuple[str, ...], ...] = ((ROOT_HELPER, "look"),)
"""What is run as root to look at a host: deploy/host/sudoers-look."""

FIXES: tuple[tuple[str, ...], ...] = (
    *(
        ("/usr/bin/timeout", "-k", "5", seconds, "/usr/bin/systemctl", *words.split())
        for seconds, words in (
            ("30", "reset-failed docker.service"),
            ("120", "restart docker.service"),
            ("120", "start docker.service"),
            ("120", "stop docker.service docker.socket"),
            ("60", "stop firewalld.service"),
            ("60", "start firewalld.service"),
            ("60", "enable firewalld.service"),
            ("60", "disable firewalld.service"),
        )
    ),
    (ROOT_HELPER,),
)
"""What fixes run as root: deploy/host/sudoers-fix."""


def sudoers_line(user: str, words: Sequence[str]) -> str:
    """The line of sudoers(5) that lets a user run exactly this as root. Our helper checks the words of fixes itself."""
    if words[0] == ROOT_HELPER and tuple(words) not in LOOKS:
        words = words[:1]
    command = " ".join(_SPECIAL.sub(r"\\\1", word) for word in words)
    return f"{user} ALL=(root) NOPASSWD: {command}"


def missing(plan: Plan, look: Look) -> tuple[str, ...]:
    """The lines that a plan and its undo need and the host does not give; none where it is not known what it gives."""
    rights = look.may(RIGHTS)
    if rights is None:
        return ()
    needed = (privileged(step) for step in (*plan.steps, *plan.undo) if step.root)
    return tuple(dict.fromkeys(sudoers_line(rights.user, words) for words in needed if not rights.allows(words)))
