"""What happened on the host lately, as far as its units and the service's container tell."""

from datetime import datetime

from checks.causes.cause import Look
from checks.facts.engine import CONTAINERS, Container, find
from checks.facts.units import NETWORK_UNITS, UNITS
from checks.model import Change

_WATCHED = {"docker.service", "firewalld.service", "systemd-sysctl.service", *NETWORK_UNITS}


def timeline(look: Look) -> tuple[Change, ...]:
    """The last start or stop of each unit that can break a published port, and of the container; oldest first."""
    changes = []
    for unit in (look.may(UNITS) or {}).values():
        if unit.name not in _WATCHED or not unit.installed:
            continue
        since = unit.active_since if unit.is_active else unit.inactive_since
        if since is not None:
            changes.append(Change(since, f"{unit.name} {'started' if unit.is_active else 'stopped'}"))
    containers = look.may(CONTAINERS)
    container = find(containers, look.service.port, look.service.container) if containers else None
    if container is not None:
        changes += _of_container(container)
    return tuple(sorted(changes, key=lambda change: change.at))


def _of_container(container: Container) -> list[Change]:
    what = "started" if container.running else f"ended with {container.exit_code}"
    at = _time(container.started_at if container.running else container.finished_at)
    return [Change(at, f"container {container.name} {what}")] if at else []


def _time(text: str) -> datetime | None:
    """Docker's RFC 3339 time with nanoseconds; year 1 means never."""
    if not text or text.startswith("0001"):
        return None
    return datetime.fromisoformat(text[:19] + "+00:00")
