"""A step of a plan as a command line: as a person would type it, and as it is run over SSH."""

import shlex
from dataclasses import replace

from checks.model import Step

ROOT_HELPER = "/usr/local/sbin/dockerhealth-root"
"""Does what sudo's patterns are too weak to bound: see deploy/host."""

BY, RUN = "--by=APPROVER", "--run=RUN"
"""Words of a command that are known only once somebody has approved it."""


def typed(step: Step) -> str:
    """The command line as a person would type it."""
    program, *rest = step.argv
    if program.startswith(("/usr/bin/", "/usr/sbin/")):
        program = program.rpartition("/")[2]
    return step.typed or shlex.join((("sudo",) if step.root else ()) + (program, *rest))


def privileged(step: Step) -> tuple[str, ...]:
    """The words that are run: for root, one exact line of the sudoers file. A user cannot end what root started.

    Our root helper takes any words, which it checks itself, and has deadlines of its own.
    """
    if step.argv[0] == ROOT_HELPER:
        return step.argv
    return ("/usr/bin/timeout", "-k", "5", str(step.timeout), *step.argv)


def shell_line(step: Step) -> str:
    """The line that is run over SSH: the same words, each quoted. sudo never asks, and root does not use it."""
    words = shlex.join(privileged(step))
    return f'if [ "$(id -u)" = 0 ]; then exec {words}; else exec sudo -n {words}; fi' if step.root else words


def carried_out(step: Step, by: str, run: str) -> Step:
    """The step as ``by`` approved it in this ``run``."""
    filled = {BY: f"--by={by}", RUN: f"--run={run}"}
    return replace(step, argv=tuple(filled.get(word, word) for word in step.argv))
