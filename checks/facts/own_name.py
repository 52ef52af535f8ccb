"""The host's own name, which sudo looks up each time that it is run, and where it finds it."""

from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_KNOWS = {"myhostname"}
_ASKS = {"dns", "resolve"}


@dataclass(frozen=True)
class OwnName:
    """``listed``: whether /etc/hosts has it. ``servers`` are the name servers of /etc/resolv.conf, in their order."""

    name: str
    listed: bool
    order: tuple[str, ...]  # of nsswitch.conf, for hosts
    servers: tuple[str, ...]

    @property
    def asks_a_server(self) -> bool:
        """Whether who looks the name up has to ask a name server for it."""
        for service in self.order:
            if (service == "files" and self.listed) or service in _KNOWS:
                return False
            if service in _ASKS:
                return True
        return False


def parse(outputs: Outputs) -> OwnName:
    """``name NAME``, then lines ``host WORDS`` of /etc/hosts, ``order WORDS``, ``server ADDRESS``; last is ``end``."""
    *lines, end = outputs["own-name"].stdout.splitlines() or [""]
    if end != "end":
        raise UnparsableError("what the host knows of its own name was cut off")
    said: dict[str, list[list[str]]] = {}
    for line in lines:
        kind, *words = line.split()
        said.setdefault(kind, []).append(words)
    [[name]] = said["name"]
    listed = any(name in names for _, *names in filter(None, said.get("host", [])))
    order = tuple(word for words in said.get("order", []) for word in words if not word.startswith("["))
    return OwnName(name, listed, order, tuple(words[0] for words in said.get("server", []) if words))


_COMMAND = """\
echo "name $(uname -n)"
sed -n 's/#.*//; s/^[[:space:]]*\\([^[:space:]].*\\)/host \\1/p' /etc/hosts
sed -n 's/#.*//; s/^hosts:/order /p' /etc/nsswitch.conf
sed -n 's/^nameserver/server /p' /etc/resolv.conf
echo end
"""

OWN_NAME = Source("own name", (Probe("own-name", _COMMAND),), parse)
