"""A network of its own that has nothing but loopback: all of 127.0.0.0/8, and no way out.

No root is needed: an unprivileged user namespace may make a network and a mount namespace. In the latter a private
passwd file stands over the real one, so that the login shell is /bin/sh whatever the user's own shell is. The second,
nested user namespace takes the pretended root away again: sshd then runs as a plain user, as does the script.
"""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from .processes import program

USER = "bench"
LOGIN_SHELL = "/bin/sh"
_ID = "1000"
_SET_UP = f"""\
ip link set lo up || exit 1
mount --bind "$1" /etc/passwd || exit 1
shift
exec unshare --user --map-user={_ID} --map-group={_ID} -- "$@"
"""
_NEEDED = ("unshare", "setpriv", "mount", "ip", "sshd", "ssh", "ssh-keygen")
_GRACE = 40  # seconds that the inner process has to stop what it started


def enter(arguments: Sequence[str]) -> int:
    """Run this command again inside, and stop it when we are stopped. Returns its exit status."""
    if missing := [name for name in _NEEDED if not Path(program(name)).exists()]:
        sys.stderr.write(f"bench: needs {', '.join(missing)} (util-linux, iproute2, openssh-server, openssh-client)\n")
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="dh-bench-") as folder:
        passwd = Path(folder, "passwd")
        passwd.write_text(f"{USER}:x:{_ID}:{_ID}::{folder}:{LOGIN_SHELL}\n")
        inner = [sys.executable, "-m", "tests.bench", *arguments, "--inside", folder]
        # The terminal's Ctrl-C goes to its own session only; we pass it on, once.
        child = subprocess.Popen(  # noqa: S603  # fixed words
            [
                program("unshare"),
                "--map-root-user",
                "--net",
                "--mount",
                "/bin/sh",
                "-c",
                _SET_UP,
                "sh",
                str(passwd),
                *inner,
            ],
            start_new_session=True,
        )
        try:
            return child.wait()
        except KeyboardInterrupt:
            return 130
        finally:
            _stop(child)


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_GRACE)
        return
    child.kill()
    child.wait()


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
