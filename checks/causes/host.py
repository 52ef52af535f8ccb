"""The host as a whole."""

from checks.causes.cause import Cause, Judgement, Look, MissingError, fail, passed
from checks.errors import SshTimedOutError, SshUnreachableError
from checks.model import Ended, Evidence, Phase

_SILENT = {Ended.TIMED_OUT, Ended.NO_ROUTE, Ended.NETWORK_UNREACHABLE}


def _host_unreachable(look: Look) -> Judgement:
    """Nothing of the host answers: neither the service nor sshd, and each in the way of a host that is not there."""
    if look.trouble is None:
        return passed("its sshd answers")
    if look.outside.ok:
        return passed("the service answers")
    silent = look.outside.phase is Phase.CONNECT and look.outside.ended in _SILENT
    if look.trouble.id not in {SshTimedOutError.id, SshUnreachableError.id}:
        raise MissingError("host", look.trouble.says)
    if not silent:
        return passed(f"the service's port {look.outside.says}: something at that address answers")
    return fail(
        Evidence(
            "reading", f"{look.outside.address or look.service.target} port {look.service.port}: {look.outside.says}"
        ),
        Evidence("ssh", look.trouble.says),
        advice=(
            f"ping -c 3 {look.host.address}   # from another machine of its network",
            "look at its console: is it up, has it its address?",
        ),
    )


HOST_UNREACHABLE = Cause("host-unreachable", "the host does not answer at all", _host_unreachable, rank=0)
