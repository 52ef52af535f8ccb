"""What can go wrong while looking at a host: one class a way of failing.

None of these is ever the cause of an outage. Each has a public ``id`` (see CAUSES: not being able to look),
says what happened to which host, and ends with what a person can do next.
"""

from typing import ClassVar


class LookError(Exception):
    """A host could not be looked at. ``host`` is its configured name."""

    id: ClassVar[str] = "look-failed"

    def __init__(self, host: str, message: str) -> None:
        super().__init__(message)
        self.host = host


class SshRefusedError(LookError):
    """The host answered that nobody listens on the SSH port."""

    id = "ssh-refused"


class SshTimedOutError(LookError):
    """No answer to the connection, or none to the login, within the connect deadline."""

    id = "ssh-timed-out"


class SshUnreachableError(LookError):
    """The network said that it has no way to the host, or the name does not resolve."""

    id = "ssh-unreachable"


class SshLoginRefusedError(LookError):
    """The host refused every key that was offered for the user."""

    id = "ssh-login-refused"


class SshHostKeyUnknownError(LookError):
    """known_hosts has no key for the host; nothing was sent to it."""

    id = "ssh-host-key-unknown"


class SshHostKeyChangedError(LookError):
    """The host showed another key than the one in known_hosts. That is not "host down"."""

    id = "ssh-host-key-changed"


class SshLostError(LookError):
    """The connection broke while a command ran."""

    id = "ssh-lost"


class CommandTimedOutError(LookError):
    """A command did not end within its deadline."""

    id = "command-timed-out"


class OutputTooLargeError(LookError):
    """A command printed more than the output cap."""

    id = "output-too-large"


class OutputUnreadableError(LookError):
    """The gather script's answer is not framed as it should be (a login banner or a broken shell, say)."""

    id = "output-unreadable"
