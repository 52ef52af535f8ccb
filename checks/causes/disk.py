"""No room left: for the container to start, or for the registry to store what it needs."""

import shlex
from collections.abc import Iterator

from checks.causes.cause import Cause, Judgement, fail, passed, risk
from checks.evidence.inside import innermost, shown
from checks.evidence.state import ContainerState, state_of
from checks.facts.disks import DISKS, Filesystem
from checks.facts.engine import ENGINE, LOGS
from checks.look import Look, MissingError
from checks.model import Evidence, ReachOutcome, ServiceKind, Vantage, Verdict

_FILLING = 90
_FULL = 99  # per cent as df rounds it: up; some room is kept for root alone
_SERVER_ERROR = 500


def _disk_full(look: Look) -> Judgement:
    """A full disk breaks what has to write. It is to blame only where that is what fails."""
    container = look.container
    if container is None:
        return passed("no container is known for this service")
    no_room = state_of(look, container) is ContainerState.NO_ROOM
    if not no_room and not _answers_with_error(look):
        return passed("nothing that fails is for want of room")
    full = full_filesystems(look)
    if look.outside.ok or not (full or no_room):
        return passed(_all(look))
    log = [line for line in (look.may(LOGS) or {}).get(container.id, ()) if "no space left" in line][-1:]
    said = [Evidence("containers", f"Docker says: {container.error}")] if no_room and container.error else []
    return fail(
        *said,
        *(Evidence("log", f"its log says: {line}") for line in log),
        *(Evidence("disks", _says(one)) for one in full),
        *shown(look, Vantage.HOST, Vantage.CONTAINER),
        sure=no_room and bool(full),
        advice=_make_room(look, full),
    )


def full_filesystems(look: Look) -> list[Filesystem]:
    """Those of Docker's and of the container's filesystems that have no room left. Raises MissingError."""
    return [one for one in _filesystems(look) if _fullest(one) >= _FULL]


def is_out_of_room(look: Look) -> bool:
    """Whether a full disk explains why the program in the container answers with errors; not where it is not known."""
    try:
        return look.container is not None and _answers_with_error(look) and bool(full_filesystems(look))
    except MissingError:
        return False


def _answers_with_error(look: Look) -> bool:
    """Whether the program in the container, where nothing is between, answers with an error of a server."""
    if look.service.kind is ServiceKind.TCP or look.outside.ended is not ReachOutcome.BAD_STATUS:
        return False
    status = innermost(look).status
    return status is not None and status >= _SERVER_ERROR


def _disk_filling(look: Look) -> Judgement:
    filling = [one for one in _filesystems(look) if _fullest(one) >= _FILLING]
    if not filling or _disk_full(look).verdict is Verdict.FAIL:
        return passed(_all(look))
    return risk(*(Evidence("disks", _says(one)) for one in filling))


def _filesystems(look: Look) -> tuple[Filesystem, ...]:
    """Those of Docker's own folder and of what is mounted into the service's container, each once."""
    disks = look.need(DISKS)
    paths = tuple(_paths(look))
    found = [disks.holding(path) for path in paths]
    if None in found:
        raise MissingError(
            DISKS.name, f"the filesystem of {paths[found.index(None)]} was not measured: is it a remote one?"
        )
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _paths(look: Look) -> Iterator[str]:
    yield look.need(ENGINE).root
    if look.container is not None:
        yield from (one.partition(":")[0] for one in look.container.made.volumes if one.startswith("/"))


def _fullest(filesystem: Filesystem) -> int:
    return max(filesystem.used, filesystem.inodes or 0)


def _says(filesystem: Filesystem) -> str:
    inodes = "" if filesystem.inodes is None else f", its inodes are {filesystem.inodes}% used"
    return f"{filesystem.mount} is {filesystem.used}% full ({filesystem.free_kb // 1024} MB free){inodes}"


def _all(look: Look) -> str:
    return "; ".join(_says(one) for one in _filesystems(look))


def _make_room(look: Look, full: list[Filesystem]) -> tuple[str, ...]:
    root = look.need(ENGINE).root
    lines = ["docker system df   # what images, containers, volumes and build cache take"]
    for one in full:
        below = root if root.startswith(one.mount.rstrip("/") + "/") else one.mount
        lines.append(
            f"sudo du -xhd2 {shlex.quote(below)} | sort -h | tail -20   # what takes the room, the largest last"
        )
        if one.inodes is not None and one.inodes >= _FULL:
            lines.append(
                f"sudo du --inodes -xd2 {shlex.quote(below)} | sort -n | tail -20   # where all the small files are"
            )
    return (
        *lines,
        "docker image prune; docker builder prune   # images that no container uses, and the build cache",
        "# a registry keeps deleted layers until `registry garbage-collect CONFIG` is run in its container",
    )


DISK_FULL = Cause("disk-full", "the disk is full", _disk_full, rank=28)
DISK_FILLING = Cause("disk-filling", "a disk of Docker's is filling up", _disk_filling)
