"""Ansible as it is used for this: ``ansible all -m raw``, connections kept by ControlPersist."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .contestant import Turn
from .processes import adopt_orphans, children, cpu_seconds, end
from .site import Site

RAW = "ansible -m raw"
_DEADLINE = 900  # seconds, one run
_SSH = "-F none -o ControlMaster=auto -o ControlPersist=600s -o UserKnownHostsFile={known_hosts} -o IdentitiesOnly=yes"


class Ansible:
    """Every turn is a run of its command line; ssh's masters live on between the turns."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._home = site.folder / f"ansible.{site.port}"
        self._home.mkdir()
        self._inventory = self._home / "inventory.json"
        self._inventory.write_text(json.dumps(_inventory(site)))
        self._configuration = self._home / "ansible.cfg"
        self._configuration.write_text("")
        adopt_orphans()

    async def open(self) -> None:
        """Its first turn opens the connections."""

    def turns(self) -> Mapping[str, Turn]:
        return {RAW: self._raw}

    async def tidy(self) -> None:
        """The masters stay."""

    def helpers_cpu(self) -> float:
        return sum(cpu_seconds(child) for child in children())

    def notes(self) -> tuple[str, ...]:
        return (f"{len(children())} ControlPersist masters are alive; their CPU time is in Ansible's",)

    async def close(self) -> None:
        for child in children():
            end(child)

    async def _raw(self) -> int:
        output = self._home / "output"
        with output.open("wb") as stream:
            done = subprocess.run(  # noqa: ASYNC221, S603  # nothing else lives in this process; fixed words
                self._command_line(),
                env=self._environment(),
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=_DEADLINE,
                check=False,
            )
        said = output.read_bytes()
        answered = said.count(b" | CHANGED | rc=")
        if answered != len(self._site.addresses):
            raise RuntimeError(f"ansible ended with {done.returncode}, {answered} answers: {said[:2000]!r}")
        return len(said)

    def _command_line(self) -> list[str]:
        forks = str(self._site.concurrency)
        command = " {{ command }}"  # the host's variable; without the blank it would be taken for JSON
        return [_program(), "all", "-i", str(self._inventory), "-f", forks, "-m", "raw", "-a", command]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "ANSIBLE_HOME": str(self._home),
            "ANSIBLE_LOCAL_TEMP": str(self._home / "tmp"),
            "ANSIBLE_CONFIG": str(self._configuration),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_ARGS": _SSH.format(known_hosts=self._site.known_hosts),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._home / "cp"),
            "ANSIBLE_SSH_USETTY": "0",  # a terminal would mix stdout and stderr
        }


def _program() -> str:
    beside = Path(sys.executable).with_name("ansible")
    return str(beside) if beside.exists() else "ansible"


def _inventory(site: Site) -> Mapping[str, object]:
    common = {
        "ansible_user": site.user,
        "ansible_port": site.port,
        "ansible_ssh_private_key_file": str(site.key),
        "ansible_ssh_timeout": 60,
    }
    hosts = {address: {"command": {"__ansible_unsafe": site.commands[address]}} for address in site.addresses}
    return {"all": {"vars": common, "hosts": hosts}}
