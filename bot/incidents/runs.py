"""Which offers of an incident were run, what came of them, and who approved. Pure."""

from collections.abc import Sequence

from bot.incidents.model import Approval, Offer
from checks.model import Applied, Outcome


def approvals(offer: Offer) -> list[Approval]:
    """Everyone who approved, the first one first."""
    started = [offer.approval] if offer.approval else []
    return list({approval.who: approval for approval in (*started, *offer.agreed)}.values())[::-1]


def still_needed(offer: Offer) -> int:
    """How many more people have to approve."""
    return max(offer.people - len(approvals(offer)), 0)


def runs(offers: Sequence[Offer]) -> list[tuple[Offer, Applied]]:
    """The plans that were carried out, or would have been had nothing changed, the newest last."""
    done = [(offer, offer.applied) for offer in offers if offer.applied is not None]
    return sorted(done, key=lambda run: run[0].approval.at if run[0].approval else run[0].offered_at)


def newest_run(offers: Sequence[Offer]) -> Offer | None:
    """The newest plan that was begun."""
    begun = [offer for offer, applied in runs(offers) if applied.outcome is not Outcome.STALE]
    return begun[-1] if begun else None


def helped(offer: Offer) -> bool:
    """Whether a fix brought the service back."""
    return offer.applied is not None and offer.applied.outcome is Outcome.FIXED and not offer.plan.undoes


def fixed_by(offers: Sequence[Offer]) -> Offer | None:
    """The newest run, where it brought the service back. What has been taken back since fixed nothing."""
    newest = newest_run(offers)
    return newest if newest is not None and helped(newest) else None


def undone(run: Offer, offers: Sequence[Offer]) -> bool:
    """Whether a run has been taken back."""
    return any(
        offer.plan.undoes == run.id and offer.applied is not None and offer.applied.outcome is Outcome.UNDONE
        for offer in offers
    )
