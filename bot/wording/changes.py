"""What a run changed on its host, in words that Slack and the terminal share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from bot.incidents.model import Offer
from bot.text import plain
from checks.model import Difference, Family

FAMILIES = {
    Family.SYSCTL: "settings of the kernel",
    Family.CONNTRACK: "settings of the kernel",
    Family.FILE: "files",
    Family.RULES: "chains of iptables",
    Family.LEGACY_RULES: "chains of iptables",
    Family.NFT: "chains of nftables",
    Family.ZONE: "zones of firewalld",
    Family.KEPT_ZONE: "zones of firewalld",
    Family.CONTAINER: "containers",
    Family.UNIT: "units",
}

FEW_LINES = 6  # that came and went, as announced, are shown one by one

LONGEST_INLINE = 60  # characters of a value that is shown beside its name


@dataclass(frozen=True)
class Line:
    """One line of a value that came, or went."""

    came: bool
    text: str

    @property
    def says(self) -> str:
        return f"{'+' if self.came else '-'} {self.text}"


@dataclass(frozen=True)
class Changed:
    """One value that is another one now: in a line, or as the lines that came and went."""

    says: str
    lines: tuple[Line, ...] = ()


def changed(differences: Sequence[Difference], *, announced: bool) -> list[Changed]:
    """The changes that the plan announced, or those that it did not: these line by line, however many they are.

    Of an announced one a person wants to know that it came about: a dockerd that starts writes a hundred lines.
    """
    told = [each for each in differences if each.announced is announced]
    changes = [_changed(each.name, each.before, each.after) for each in told]
    few = sum(len(each.lines) for each in changes) <= FEW_LINES
    return changes if few or not announced else list(_counted([each.family for each in told], changes))


def _counted(families: Sequence[Family], changes: Sequence[Changed]) -> Iterator[Changed]:
    """First what is said in a line of its own, then how much of each family came and went."""
    yield from (each for each in changes if not each.lines)
    together: dict[str, list[Changed]] = {}
    for family, each in zip(families, changes, strict=True):
        if each.lines:
            together.setdefault(FAMILIES[family], []).append(each)
    for called, of_it in together.items():
        name = of_it[0].says if len(of_it) == 1 else f"{len(of_it)} {called}"
        came = [line.came for each in of_it for line in each.lines]
        yield Changed(f"{name}: {sum(came)} lines came, {len(came) - sum(came)} went")


def not_restored(undo: Offer) -> list[Changed]:
    """What an undo was to bring back and did not, as far as that is known."""
    if undo.applied is None:
        return []
    now: dict[str, str | None] = {**undo.before.states} if undo.before else {}
    now |= {each.name: each.after for each in undo.applied.differences}
    return [
        _changed(each.name, each.before, now[each.name])
        for each in undo.plan.restores
        if each.name in now and now[each.name] != each.before
    ]


def _changed(name: str, before: str | None, after: str | None) -> Changed:
    name = plain(name)
    if before is None:
        return Changed(f"{name} (new)", tuple(Line(came=True, text=line) for line in (after or "").splitlines()))
    if after is None:
        return Changed(f"{name} (gone)", tuple(Line(came=False, text=line) for line in before.splitlines()))
    if _inline(before) and _inline(after):
        return Changed(f"{name} {plain(before) or 'empty'} → {plain(after) or 'empty'}")
    return Changed(name, tuple(_came_and_went(before.splitlines(), after.splitlines())))


def _inline(value: str) -> bool:
    return len(value) <= LONGEST_INLINE and len(value.splitlines()) <= 1


def _came_and_went(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    for _, start, end, new_start, new_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if before[start:end] != after[new_start:new_end]:
            yield from (Line(came=False, text=line) for line in before[start:end])
            yield from (Line(came=True, text=line) for line in after[new_start:new_end])
