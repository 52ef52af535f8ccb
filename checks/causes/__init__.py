"""Every cause (it breaks the service) and risk (it will), one file a family. To add one: its file, one line here."""

from checks.causes.cause import Cause
from checks.causes.container import CONTAINER_MISSING, CONTAINER_STOPPED
from checks.causes.daemon import DOCKERD_DOWN
from checks.causes.docker_rules import (
    CHAINS_MISSING_BUT_SERVED,
    DOCKER_CHAINS_MISSING,
    DOCKER_DEAF_TO_FIREWALLD,
    DOCKER_NAT_RULE_MISSING,
)
from checks.causes.firewalld import FIREWALLD_PORT_CLOSED
from checks.causes.forwarding import IP_FORWARD_NOT_PERSISTED, IP_FORWARD_OFF
from checks.causes.host import HOST_UNREACHABLE

ALL_CAUSES: tuple[Cause, ...] = (
    HOST_UNREACHABLE,
    DOCKERD_DOWN,
    CONTAINER_MISSING,
    CONTAINER_STOPPED,
    DOCKER_CHAINS_MISSING,
    DOCKER_NAT_RULE_MISSING,
    IP_FORWARD_OFF,
    FIREWALLD_PORT_CLOSED,
)

ALL_RISKS: tuple[Cause, ...] = (
    IP_FORWARD_NOT_PERSISTED,
    DOCKER_DEAF_TO_FIREWALLD,
    CHAINS_MISSING_BUT_SERVED,
)
