"""The machine below it all: kernel, distribution, clock, and whether the running kernel's modules are there."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from checks.source import Outputs, Probe, Source


@dataclass(frozen=True)
class System:
    """``modules_gone``: modules of other kernels are installed, those of the running one are not (an upgrade)."""

    kernel: str
    distribution: str  # "debian 12"
    modules_gone: bool
    clock: datetime


def parse(outputs: Outputs) -> System:
    output = outputs["system"]
    values = dict(re.findall(r"^(\w+)=(.*)$", output.stdout, flags=re.MULTILINE))
    modules = values["modules"].split()
    return System(
        kernel=values["kernel"],
        distribution=f"{values.get('ID', 'unknown')} {values.get('VERSION_ID', '')}".replace('"', "").strip(),
        modules_gone=bool(modules) and values["kernel"] not in modules,
        clock=datetime.fromtimestamp(float(values["clock"]), UTC),
    )


_COMMAND = """\
echo "kernel=$(uname -r)"; echo "clock=$(date +%s.%N)"
modules=
for m in /lib/modules/*; do [ ! -e "$m" ] || modules="$modules${m##*/} "; done
echo "modules=$modules"
grep -E '^(ID|VERSION_ID)=' /etc/os-release
"""

SYSTEM = Source("system", (Probe("system", _COMMAND),), parse)
