"""What keeps clients out because somebody wanted it so: the admin's rules in DOCKER-USER, and dockerd's settings."""

from checks.causes.cause import BY_A_RULE, UNTRANSLATED, Cause, Judgement, fail, passed
from checks.causes.docker_rules import answers_inside, inside
from checks.evidence.firewall_owner import loaded_from, maker
from checks.evidence.packet import Owner, agrees, blockers
from checks.facts.daemon import DAEMON
from checks.look import Look
from checks.model import Evidence, FixId
from checks.walk import Hook


def _docker_user_drop(look: Look) -> Judgement:
    """Somebody's policy: it is shown, and changed only by who owns it."""
    if look.bridged is None:
        return passed("this service is not published through NAT")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    look.need_rules_in_iptables()
    blocker = next((one for one in blockers(look) if one.owner is Owner.DOCKER_USER), None)
    if blocker is None:
        return passed("chain DOCKER-USER lets a client's packet through")
    if blocker.flat and not blocker.stop.certain:
        return passed(f"{blocker.stop.says}: its counter did not rise")
    made = maker(look, blocker.stop)
    return fail(
        *blocker.evidence,
        *((made.evidence,) if made else ()),
        Evidence("rules", "DOCKER-USER is the admin's own chain: this is somebody's policy, not a fault of Docker"),
        *inside(look),
        sure=agrees(look, blocker),
        advice=(
            *(made.lines if made else loaded_from(look, blocker.stop.place)),
            "# ask who made that rule, and what for, before anybody is let past it",
        ),
    )


def _docker_iptables_disabled(look: Look) -> Judgement:
    """By its settings dockerd writes no rules: only docker-proxy, or rules of somebody else, serve the port."""
    look.need_rules_in_iptables()
    settings = look.need(DAEMON)
    if settings.iptables:
        return passed("dockerd writes iptables rules, by its settings")
    if look.bridged is None or look.by_ipv6:
        return passed("this service is not published through NAT of IPv4")
    if look.outside.ok:
        return passed(f"iptables=false, yet it {look.outside.says} from outside")
    if next(look.rules_for_clients.dnat(look.service.port), None) is not None:
        return passed("somebody else wrote a DNAT rule for the port")
    instead = [one for one in blockers(look) if one.stop.hook is Hook.INPUT]
    if not instead and settings.userland_proxy:
        return passed("docker-proxy alone serves the port, and nothing on the host keeps clients from it")
    return fail(
        Evidence("dockerd's settings", "iptables is false: dockerd writes no DNAT rule for any published port"),
        Evidence("netfilter", f"nothing translates port {look.service.port}"),
        *(line for one in instead for line in one.evidence),
        *inside(look),
        sure=answers_inside(look),
        advice=(
            '# remove "iptables": false from /etc/docker/daemon.json (or --iptables=false), unless somebody needs it',
            "sudo systemctl restart docker   # writes the rules; every container stops for some seconds",
        ),
    )


DOCKER_USER_DROP = Cause(
    "docker-user-drop",
    "a rule in DOCKER-USER keeps clients out",
    _docker_user_drop,
    rank=51,
    fixes=(FixId.ALLOW_IN_DOCKER_USER,),
    death=BY_A_RULE,
)
DOCKER_IPTABLES_DISABLED = Cause(
    "docker-iptables-disabled",
    "dockerd is told to write no iptables rules",
    _docker_iptables_disabled,
    rank=24,
    death=UNTRANSLATED,
)
