"""What a run changed on its host, in words that Slack and the terminal share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from bot.incidents.model import Offer
from bot.text import plain
from checks.model import Difference

KINDS = {"rules": "chains of iptables", "nft": "chains of nftables", "zone": "zones of firewalld", "file": "files"}

FEW_LINES = 6  # that came and went, as announced, are shown one by one

LONGEST_INLINE = 60  # characters of a value that is shown beside its name


@dataclass(frozen=True)
class Changed:
    """One value that is another one now: in a line, or as the lines that came (``+``) and went (``-``)."""

    says: str
    lines: tuple[str, ...] = ()


def changed(differences: Sequence[Difference], *, announced: bool) -> list[Changed]:
    """The changes that the plan announced, or those that it did not: these line by line, however many they are.

    Of an announced one a person wants to know that it came about: a dockerd that starts writes a hundred lines.
    """
    changes = [_changed(each) for each in differences if each.announced is announced]
    few = sum(len(each.lines) for each in changes) <= FEW_LINES
    return changes if few or not announced else list(_counted(changes))


def _counted(changes: Sequence[Changed]) -> Iterator[Changed]:
    """First what is said in a line of its own, then how much of each kind came and went."""
    yield from (each for each in changes if not each.lines)
    by_kind: dict[str, list[Changed]] = {}
    for each in changes:
        if each.lines:
            by_kind.setdefault(each.says.partition(" ")[0], []).append(each)
    for kind, of_it in by_kind.items():
        came, went = (sum(line.startswith(sign) for each in of_it for line in each.lines) for sign in "+-")
        name = of_it[0].says if len(of_it) == 1 else f"{len(of_it)} {KINDS.get(kind, kind)}"
        yield Changed(f"{name}: {came} lines came, {went} went")


def not_restored(undo: Offer) -> list[Changed]:
    """What an undo was to bring back and did not, as far as that is known."""
    if undo.applied is None:
        return []
    now: dict[str, str | None] = {**undo.before.states} if undo.before else {}
    now |= {each.name: each.after for each in undo.applied.differences}
    return [
        _changed(Difference(name, was, now[name], announced=True))
        for name, was in undo.plan.restores.items()
        if name in now and (now[name] or "") != was
    ]


def _changed(difference: Difference) -> Changed:
    name, before, after = plain(difference.name), difference.before, difference.after
    if before is None:
        return Changed(f"{name} (new)", tuple(f"+ {line}" for line in (after or "").splitlines()))
    if after is None:
        return Changed(f"{name} (gone)", tuple(f"- {line}" for line in before.splitlines()))
    if _inline(before) and _inline(after):
        return Changed(f"{name} {plain(before) or 'empty'} → {plain(after) or 'empty'}")
    return Changed(name, tuple(_came_and_went(before.splitlines(), after.splitlines())))


def _inline(value: str) -> bool:
    return len(value) <= LONGEST_INLINE and len(value.splitlines()) <= 1


def _came_and_went(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    for _, start, end, new_start, new_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if before[start:end] != after[new_start:new_end]:
            yield from (f"- {line}" for line in before[start:end])
            yield from (f"+ {line}" for line in after[new_start:new_end])
