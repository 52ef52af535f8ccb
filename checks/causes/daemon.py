"""dockerd itself."""

from checks.causes.cause import Cause, Judgement, Look, fail, passed
from checks.facts.engine import ENGINE
from checks.facts.units import UNITS
from checks.model import Evidence


def _dockerd_down(look: Look) -> Judgement:
    docker = look.need(UNITS)["docker.service"]
    if not docker.installed:
        return passed("docker.service is not installed")
    if docker.is_active:
        return passed(f"docker.service is {docker.active} ({docker.sub})")
    if look.may(ENGINE) is not None:
        return passed(f"docker.service is {docker.active}, and yet the Engine answers: something else runs it")
    if look.outside.ok:
        return passed(f"docker.service is {docker.active}, and the container lives on without it")
    since = f" since {docker.inactive_since:%Y-%m-%d %H:%M:%S} UTC" if docker.inactive_since else ""
    evidence = [Evidence("units", f"docker.service is {docker.active} ({docker.sub}){since}")]
    if docker.result not in {"", "success"}:
        evidence.append(Evidence("units", f"its last run ended with: {docker.result}"))
    return fail(*evidence)


DOCKERD_DOWN = Cause("dockerd-down", "dockerd is not running", _dockerd_down, rank=10, fixes=("start-docker",))
