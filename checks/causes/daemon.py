"""dockerd itself, and the proxy that it starts for each published port."""

from checks.causes.cause import UNTRANSLATED, Cause, Judgement, fail, passed
from checks.evidence.front import listeners
from checks.evidence.history import by_our_clock
from checks.evidence.inside import is_good, shown
from checks.evidence.origin import who_stopped
from checks.facts.daemon import DAEMON, DAEMON_CONFIGURATION
from checks.facts.engine import CONTAINERS, ENGINE, Container
from checks.facts.journal import JOURNAL, NOT_STARTED, EventKind
from checks.facts.sockets import SOCKETS
from checks.facts.units import Unit
from checks.look import Look, MissingError
from checks.model import Evidence, FixId, Vantage
from checks.source import Unavailable

_ENDS_OF_A_START = {EventKind.STARTED, EventKind.FAILED}


def _dockerd_down(look: Look) -> Judgement:
    docker = look.unit("docker.service")
    if not docker.installed:
        return passed("docker.service is not installed")
    if docker.is_active:
        return passed(f"docker.service is {docker.active} ({docker.sub})")
    if look.may(ENGINE) is not None:
        return passed(f"docker.service is {docker.active}, and yet the Engine answers: something else runs it")
    if look.outside.ok:
        return passed(f"docker.service is {docker.active}, and the container lives on without it")
    if is_good(look, Vantage.HOST):
        return passed(f"docker.service is {docker.active}, and the service answers on the host without it")
    since = f" since {by_our_clock(look, docker.inactive_since)}" if docker.inactive_since else ""
    evidence = [Evidence("units", f"docker.service is {docker.active} ({docker.sub}){since}")]
    if docker.result not in {"", "success"}:
        evidence.append(Evidence("units", f"its last run ended with: {docker.result}"))
    if docker.enabled == "masked":
        evidence.append(Evidence("units", "it is masked: somebody does not want it started"))
    evidence += (waits := _waits_for_its_socket(look, docker))
    configuration = look.may(DAEMON_CONFIGURATION)
    if configuration is not None and configuration.problem:
        evidence.append(Evidence("dockerd's configuration", configuration.problem))
    said = why_not_started(look)
    if said:
        evidence.append(Evidence("journal", f"dockerd said: {said}"))
    evidence += who_stopped(look, "docker.service")
    enable = "sudo systemctl enable docker.service   # or no container runs after the next boot either"
    return fail(
        *evidence,
        advice=(
            "journalctl -u docker.service -n 30 --no-pager   # what it said",
            *((enable,) if waits and docker.enabled == "disabled" else ()),
        ),
    )


def _waits_for_its_socket(look: Look, docker: Unit) -> tuple[Evidence, ...]:
    """So it is after a boot where only docker.socket is enabled: no container runs until somebody types `docker ps`."""
    socket = look.may_unit("docker.socket")
    if socket is None or not socket.is_active:
        return ()
    says = f"it is {docker.enabled}; docker.socket starts it at anybody's first question, so dockerhealth asks it none"
    return (Evidence("units", says),)


def why_not_started(look: Look) -> str:
    """Dockerd's own last words, where its last start failed; empty where it did not, or nobody knows."""
    journal, docker = look.may(JOURNAL), look.may_unit("docker.service")
    if journal is None or docker is None or docker.result in {"", "success"}:
        return ""
    last = next(
        (
            event
            for event in reversed(journal.events)
            if event.what.startswith(NOT_STARTED) or (event.unit == docker.name and event.kind is EventKind.STARTED)
        ),
        None,
    )
    return last.what if last is not None and not last.unit else ""


def starts_once_more(look: Look, docker: Unit) -> bool:
    """Whether systemd starts it anew after a start that failed: the unit says no more of that, and the journal does."""
    journal = look.may(JOURNAL)
    if journal is None or docker.active != "activating":
        return False
    ended = (one for one in reversed(journal.events) if one.unit == docker.name and one.kind in _ENDS_OF_A_START)
    last = next(ended, None)
    return last is not None and last.kind is EventKind.FAILED


def _dockerd_hung(look: Look) -> Judgement:
    """Dockerd runs and does not answer. By itself that stops nothing: containers, rules and proxies live on.

    It is to blame only where nothing of the service answers on the host, which dockerd would have to put right.
    Likely at most, because the containers cannot be asked about.
    """
    docker = look.unit("docker.service")
    if not docker.is_active:
        return passed(f"docker.service is {docker.active} ({docker.sub})")
    unanswered = _unanswered(look)
    if unanswered is None:
        return passed("the Engine answers")
    why = unanswered.reason
    if not unanswered.silent:
        raise MissingError(ENGINE.name, why)
    if look.outside.ok:
        return passed(f"the Engine is silent, and the service {look.outside.says} without it")
    inside = is_good(look, Vantage.HOST)
    if inside is None:
        raise MissingError(ENGINE.name, why)
    if inside:
        return passed("the Engine is silent, and the service answers on the host without it")
    return fail(
        Evidence("Docker Engine", why),
        Evidence("units", f"docker.service is {docker.active} ({docker.sub}), pid {docker.main_pid}"),
        *shown(look, Vantage.HOST, Vantage.LOOPBACK),
        sure=False,
        advice=(
            f"ps -o pid,stat,wchan:20,lstart,args -p {docker.main_pid}   # T: it was stopped; D: it waits for a disk",
            "sudo journalctl -u docker.service -n 30 --no-pager",
            "sudo systemctl restart docker   # by force if it must; without live-restore every container restarts",
        ),
    )


def _unanswered(look: Look) -> Unavailable | None:
    """Why the Engine said nothing of itself or of its containers; None where it did."""
    if look.facts is None:
        look.need(ENGINE)  # raises: the host was not looked at
        return None
    answers = (look.facts.get(ENGINE), look.facts.get(CONTAINERS))
    return next((answer for answer in answers if isinstance(answer, Unavailable)), None)


def _docker_proxy_gone(look: Look) -> Judgement:
    """Nobody listens on the published port. It matters only to packets that no DNAT rule takes to the container."""
    container = look.bridged
    if container is None or not container.running:
        return passed("no running container publishes the port")
    settings = look.need(DAEMON)
    if none_meant := _no_proxy_meant(look, container, userland_proxy=settings.userland_proxy):
        return passed(none_meant)
    look.need(SOCKETS)
    here = [one for one in listeners(look) or () if one.port == look.service.port]
    if any(not look.by_ipv6 or one.takes_ipv6 for one in here):
        return passed(f"somebody listens on port {look.service.port} of the host")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    look.need_rules_in_iptables()
    if not _needs_proxy(look, iptables=settings.iptables):
        return passed("nobody listens there, and nobody has to: packets go by Docker's rules")
    return fail(
        Evidence("sockets", f"nobody listens on port {look.service.port}, where docker-proxy should"),
        Evidence("netfilter", "no DNAT rule leads to the container: without docker-proxy nothing does"),
        *shown(look, Vantage.HOST, Vantage.LOOPBACK, Vantage.CONTAINER),
        sure=is_good(look, Vantage.CONTAINER) is True and is_good(look, Vantage.HOST) is False,
    )


def _no_proxy_meant(look: Look, container: Container, *, userland_proxy: bool) -> str:
    """Why Docker starts none for these clients; empty where it does."""
    if not userland_proxy:
        return "dockerd runs without docker-proxy, by its settings"
    if look.by_ipv6 and not any(":" in one.host_ip for one in container.bindings_of(look.service.port)):
        return "Docker publishes the port for IPv4 alone: there is no docker-proxy for IPv6 that could be gone"
    return ""


def _needs_proxy(look: Look, *, iptables: bool) -> bool:
    if look.why_by_proxy or look.service.target == "localhost":
        return True
    return not iptables and not any(look.rules_for_clients.dnat(look.service.port))


DOCKERD_DOWN = Cause("dockerd-down", "dockerd is not running", _dockerd_down, rank=10, fixes=(FixId.START_DOCKER,))
DOCKERD_HUNG = Cause(
    "dockerd-hung", "dockerd runs and does not answer", _dockerd_hung, rank=11, fixes=(FixId.RESTART_DOCKER,)
)
DOCKER_PROXY_GONE = Cause(
    "docker-proxy-gone",
    "docker-proxy is gone, and nothing else leads to the container",
    _docker_proxy_gone,
    rank=25,
    fixes=(FixId.RESTART_DOCKER,),
    death=UNTRANSLATED,
)
