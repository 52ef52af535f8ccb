"""What systemd-networkd makes of forwarding, where it runs and knows the setting."""

from checks.facts.networkd import NETWORKD, Networkd, NetworkdLine
from checks.facts.sysctl_files import SYSCTL_FILES
from checks.look import Look

UNIT = "systemd-networkd.service"
KNOWS_FORWARDING = 256  # the first systemd whose networkd has IPv4Forwarding=


def networkd(look: Look) -> Networkd:
    """Its lines about forwarding; none where it does not run, is older, or could not be asked."""
    unit, files = look.may_unit(UNIT), look.may(SYSCTL_FILES)
    if unit is None or not unit.is_active or files is None or files.systemd < KNOWS_FORWARDING:
        return Networkd()
    return look.may(NETWORKD) or Networkd()


def switched_off_by_networkd(look: Look) -> tuple[NetworkdLine, ...]:
    """The lines that switch forwarding off whenever networkd starts: of the host, or where this service needs it."""
    routes = (look.way.inbound, look.way.outbound)
    return networkd(look).against([route.interface for route in routes if route is not None])
