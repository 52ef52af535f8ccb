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
    """Nothing came back within the connect deadline: no connection, or not a byte more on the one that there was."""

    id = "ssh-timed-out"


class SshUnreachableError(LookError):
    """The network said that it has no way to the host."""

    id = "ssh-unreachable"


class SshNameUnknownError(LookError):
    """The host's name leads nowhere, as a name server says, or the hosts file."""

    id = "ssh-name-unknown"


class WatcherTroubleError(LookError):
    """This machine lacked something that each attempt needs: a descriptor, say. It tells nothing of the host."""

    id = "watcher-trouble"


class SshRejectedError(LookError):
    """The host itself answered the connection with an ICMP error: a rule of its firewall. It is up."""

    id = "ssh-rejected"


class SshRejectedOnTheWayError(LookError):
    """Another machine than the host answered the connection with an ICMP error: a firewall between here and there."""

    id = "ssh-rejected-on-the-way"


class SshClosedError(LookError):
    """The host took the connection, which then ended without a login."""

    id = "ssh-closed"


class SshLoginTimedOutError(LookError):
    """The host took the connection, and the login did not end. It is up."""

    id = "ssh-login-timed-out"


class SshSessionTimedOutError(LookError):
    """The host let the user in, and its session did not start. It is up."""

    id = "ssh-session-timed-out"


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
