"""How dockerd is configured where that changes what is right, and whether it would start with that configuration."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, Unavailable, UnparsableError

_FILE = "/etc/docker/daemon.json"
_NOTHING_TO_CHECK, _TAKEN, _NO_DOCKERD = 3, 4, 127
_FLAG = re.compile(r"(?:^| )--?(?P<name>[a-zA-Z][a-z0-9-]*)")
_IN_THE_FILE = {  # moby: cmd/dockerd/config.go; what may be given more than once has another name in the file
    "H": "hosts",
    "host": "hosts",
    "D": "debug",
    "G": "group",
    "b": "bridge",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
    "add-runtime": "runtimes",
    "default-ulimit": "default-ulimits",
    "exec-opt": "exec-opts",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}


@dataclass(frozen=True)
class DaemonSettings:
    """dockerd writes no rules with ``iptables`` off, and leaves the kernel's switch alone with ``ip_forward`` off.

    ``ip6tables`` is None where nothing says whether it writes rules of IPv6 too: from 27.0 on it does.
    With ``userland_proxy`` off no docker-proxy listens on published ports: packets depend on NAT alone.
    """

    iptables: bool
    ip_forward: bool
    userland_proxy: bool
    ip6tables: bool | None = None


@dataclass(frozen=True)
class DaemonConfiguration:
    """Whether a dockerd that starts now would take its configuration. ``problem`` is why not, empty where it would.

    ``checked`` says how that is known, ``by_dockerd`` whether it is dockerd's own word.
    """

    problem: str
    checked: str
    by_dockerd: bool = False


def parse(outputs: Outputs) -> DaemonSettings:
    file, _, command = outputs["daemon"].stdout.rpartition("\n@ ")
    if outputs["daemon"].status != 0:
        raise UnparsableError(f"cannot read {_FILE}: {outputs['daemon'].stderr.strip()[:200]}")
    settings = json.loads(file) if file.strip() else {}
    return DaemonSettings(
        iptables=settings.get("iptables", True) and "--iptables=false" not in command,
        ip_forward=settings.get("ip-forward", True) and "--ip-forward=false" not in command,
        userland_proxy=settings.get("userland-proxy", True) and "--userland-proxy=false" not in command,
        ip6tables=_ip6tables(settings, command),
    )


def _ip6tables(settings: Mapping[str, bool], command: str) -> bool | None:
    said = re.search(r"--ip6tables(?:=(true|false))?(?: |$)", command)
    return settings.get("ip6tables") if said is None else said[1] != "false"


def parse_configuration(outputs: Outputs) -> DaemonConfiguration | Unavailable:
    """By dockerd's own word where it has one (``--validate``, from 23.0 on), else by what can be seen without it."""
    checked = outputs["daemon-valid"]
    if checked.status == 0:
        return DaemonConfiguration(
            "", f"dockerd --validate takes {_FILE} and the flags that it runs with", by_dockerd=True
        )
    if checked.status == _NOTHING_TO_CHECK:
        return DaemonConfiguration("", f"there is no {_FILE} that could be wrong")
    if checked.status == _TAKEN:
        return DaemonConfiguration("", f"the dockerd that runs took {_FILE}, which has not changed since it started")
    said = checked.stderr.strip()
    if "unknown flag: --validate" in said or checked.status == _NO_DOCKERD:
        return _by_looking(*checked.stdout.rpartition("\n@ ")[::2])
    if "permission denied" in said:
        return Unavailable(f"dockerd --validate may not read all that it needs: {said[-200:]}")
    return DaemonConfiguration(said[-300:] or f"dockerd --validate ended with {checked.status}", "")


def _by_looking(file: str, command: str) -> DaemonConfiguration:
    """The two mistakes that keep dockerd from starting most often: no JSON, and an option given twice."""
    try:
        settings = json.loads(file) if file.strip() else {}
    except ValueError as error:
        return DaemonConfiguration(f"{_FILE} is no JSON: {error}", "")
    if not isinstance(settings, Mapping):
        return DaemonConfiguration(f"{_FILE} holds no object of settings", "")
    flags = {match["name"] for match in _FLAG.finditer(command)}
    twice = sorted(settings.keys() & {_IN_THE_FILE.get(name, name) for name in flags})
    if twice:
        return DaemonConfiguration(f"both in {_FILE} and a flag of dockerd: {', '.join(twice)}", "")
    return DaemonConfiguration(
        "", f"{_FILE} is JSON, and no option of it is a flag too (this dockerd has no --validate)"
    )


_COMMAND = rf"""
[ ! -e {_FILE} ] || cat {_FILE} || exit 1
printf '\n@ '
pid=$(systemctl show -p MainPID docker.service)
case $pid in MainPID=[1-9]*) tr '\0' ' ' <"/proc/${{pid#MainPID=}}/cmdline" ;; esac
"""

# dockerd takes tenths of a second of CPU only to say that all is well. So it is asked only where there is a file that
# is newer than its process, or it is newer itself: what it runs with, it took.
_IF_CHANGED = f"""\
pid=$(systemctl show -p MainPID docker.service); pid=${{pid#MainPID=}}
grep -qs -e --config-file "/proc/$pid/cmdline" && exit 0
[ -e {_FILE} ] || exit {_NOTHING_TO_CHECK}
[ "$(cat /run/docker.pid 2>/dev/null)" = "$pid" ] || exit 0
[ -n "$(find {_FILE} "$(command -v dockerd)" -cnewer /run/docker.pid)" ] || exit {_TAKEN}
"""
_VALIDATE = rf"""{_COMMAND}
[ "${{pid#MainPID=}}" = 0 ] || flags=/proc/${{pid#MainPID=}}/cmdline
sed -z 1d "${{flags:-/dev/null}}" | xargs -0 dockerd --validate --config-file={_FILE}
"""

DAEMON = Source("dockerd's settings", (Probe("daemon", _COMMAND),), parse)
DAEMON_CONFIGURATION = Source(
    "dockerd's configuration",
    (Probe("daemon-valid", _VALIDATE, before=_IF_CHANGED),),
    parse_configuration,
)
