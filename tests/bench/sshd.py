"""One sshd for all addresses, with keys and a configuration of its own. It writes nothing outside its folder."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .processes import program
from .site import Site

LIVE_PORT, REPLAY_PORT = 2201, 2202
RECORDED = "answer"
"""The file that the replay port answers with, whatever is asked."""

_READY = 10  # seconds
_CONFIGURATION = """\
ListenAddress 0.0.0.0:{live}
ListenAddress 0.0.0.0:{replay}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 1000
MaxSessions 100
LogLevel ERROR
Match LocalPort {replay}
    ForceCommand exec cat {folder}/{recorded}
"""


def make_keys(folder: Path) -> None:
    for name in ("host_key", "key"):
        words = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(folder / name)]
        subprocess.run(words, check=True)  # noqa: S603  # fixed words


def pin(site: Site) -> None:
    """Write the known_hosts of a site: one line an address, as a team has it."""
    key = " ".join((site.folder / "host_key.pub").read_text().split()[:2])
    site.known_hosts.write_text("".join(f"[{address}]:{site.port} {key}\n" for address in site.addresses))


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """Run sshd for as long as the block. 0.0.0.0 is loopback here: the network namespace has nothing else."""
    configuration = folder / "sshd_config"
    configuration.write_text(
        _CONFIGURATION.format(live=LIVE_PORT, replay=REPLAY_PORT, folder=folder, recorded=RECORDED)
    )
    log = folder / "sshd.log"
    words = [program("setpriv"), "--pdeathsig", "TERM"]  # should we be killed outright, sshd goes too
    words += [program("sshd"), "-D", "-e", "-f", str(configuration)]
    with log.open("wb") as stream:
        process = subprocess.Popen(words, stderr=stream)  # noqa: S603  # fixed words
    try:
        _wait_until_ready(process, log)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY
    while time.monotonic() < deadline and process.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", REPLAY_PORT)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"sshd did not start: {log.read_text().strip()}")
