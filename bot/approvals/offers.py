"""Which plans stand under a message as buttons, as a pure function of the newest look."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from bot.approvals.policy import Policies, policy_of
from bot.incidents.model import Offer
from checks.model import Plan, Report


def pending(offer: Offer) -> bool:
    """Whether nobody has approved the offer and no later look has replaced it. It may have expired."""
    return offer.approval is None and not offer.withdrawn


def usable(offer: Offer, now: datetime) -> bool:
    """Whether a click on the offer can still be approved."""
    return pending(offer) and offer.expires_at > now


def renewed(
    offers: Iterable[Offer], report: Report, policies: Policies, now: datetime, new_id: Callable[[], str]
) -> tuple[Offer, ...]:
    """The offers that a look changes or makes; the others stay as they are.

    A plan that the look found again, to the digit, keeps its offer, which is good for as long again: what
    expires is the look that the plan rests on. A look that could not be had says nothing about any plan. What takes a
    run back rests on that run and on no look. A plan that only a person can run is no offer.
    """
    if report.trouble is not None:
        return ()
    found = {plan.fingerprint: plan for plan in report.proposed if not plan.by_hand}
    changed: list[Offer] = []
    for offer in offers:
        if not pending(offer) or offer.plan.undoes:
            continue
        again = found.pop(offer.fingerprint, None) if usable(offer, now) else None
        changed.append(
            replace(offer, expires_at=now + policies.expire_after) if again else replace(offer, withdrawn=True)
        )
    changed.extend(offered(plan, policies, now, new_id()) for plan in found.values())
    return tuple(changed)


def offered(plan: Plan, policies: Policies, now: datetime, offer_id: str) -> Offer:
    """A plan as it is put up for approval."""
    people = policy_of(policies, plan).people
    return Offer(
        offer_id, plan, plan.fingerprint, offered_at=now, expires_at=now + policies.expire_after, people=people
    )
