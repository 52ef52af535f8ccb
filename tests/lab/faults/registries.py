"""What answers once the connection stands: registry errors, TLS, another program, full disks."""

from dataclasses import replace

from checks.model import ServiceKind
from tests.lab import certificates
from tests.lab.command import wait_for
from tests.lab.faults.serving import PUBLISHED, answering, in_front, process, proxying, python, registry
from tests.lab.host import LabHost
from tests.lab.scenario import ON_TLS, REGISTRY, Act, fault, healthy, one_after_the_other, typed, write

ERROR, SCHEME, NOT_ONE, FULL = "registry-error", "scheme-mismatch", "not-a-registry", "disk-full"
FRONT = "proxy-in-front-fails"
EXPIRED, UNTRUSTED = "certificate-expired", "certificate-untrusted"
NOT_YET, ANOTHER_NAME = "certificate-not-yet-valid", "certificate-of-another-name"

_CONFIG = """version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ":5000"}
"""
_MAINTENANCE = _CONFIG + "health: {file: [{file: /etc/down, interval: 1s, threshold: 1}]}\n"
_STORAGE_HEALTH = (
    _CONFIG.replace("/registry}", "/registry/depot}")
    + "health: {storagedriver: {enabled: true, interval: 1s, threshold: 1}}\n"
)
_LOGIN = _CONFIG + "auth: {silly: {realm: lab, service: lab}}\n"
_SMALL_DISK = "mkdir -p /srv/small; mount -t tmpfs -o size=%s none /srv/small\n"
_FILL = "dd if=/dev/zero of=/srv/small/log bs=64k 2>/dev/null || true\n"
# Docker's own folder on a small disk: what else grows there fills it, and the container cannot be started again.
_DOCKER_ON_A_SMALL_DISK = (
    _SMALL_DISK % "96m"
    + """
systemctl stop docker.socket docker.service
mkdir -p /etc/docker; echo '{"data-root": "/srv/small"}' > /etc/docker/daemon.json
systemctl start docker.socket docker.service
docker import --change 'CMD ["/bin/registry", "serve", "/etc/registry.yml"]' \\
    /usr/share/dockerhealth-lab/registry.tar registry:2 >/dev/null
docker run -d -p 5000:5000 --restart=always --name registry registry:2 >/dev/null
docker stop registry >/dev/null
"""
    + _FILL
    + "docker start registry 2>/dev/null || true"
)


def configured(config: str, options: str = "", publish: str = PUBLISHED) -> Act:
    """The registry with another configuration file."""

    def act(host: LabHost) -> None:
        write(host, "/etc/registry.yml", config)
        registry(f"{publish} -v /etc/registry.yml:/etc/registry.yml:ro {options}")(host)

    return act


def until(status: str) -> Act:
    return lambda host: wait_for(f"{host.name}: {status}", lambda: host.outside() == status, timeout=20)


def with_certificate(*, days: int = 30, since: int | None = None, how: str = "", address: str = "") -> Act:
    """The registry on TLS, see certificates.issue. ``address``: what it is for, where that is not the host's own."""

    def act(host: LabHost) -> None:
        key, certificate = certificates.issue(address or host.address, days=days, since=since, how=how)
        write(host, "/etc/tls/key.pem", key)
        write(host, "/etc/tls/certificate.pem", certificate)
        registry(
            f"{PUBLISHED} -v /etc/tls:/etc/tls:ro -e REGISTRY_HTTP_TLS_KEY=/etc/tls/key.pem"
            " -e REGISTRY_HTTP_TLS_CERTIFICATE=/etc/tls/certificate.pem"
        )(host)

    return act


SCENARIOS = (
    fault(
        "registry-in-maintenance",
        one_after_the_other(typed("touch /etc/down"), configured(_MAINTENANCE, "-v /etc/down:/etc/down"), until("503")),
        ERROR,
        outside="503",
        core=True,
    ),
    fault(
        "registry-may-not-read-its-storage",
        one_after_the_other(
            typed("mkdir -p /etc/data/docker; chmod 700 /etc/data"),
            configured(_STORAGE_HEALTH, "-v /etc/data:/var/lib/registry --user 1000"),
            until("503"),
        ),
        ERROR,
        outside="503",
    ),
    fault(
        "proxy-in-front-of-a-registry-it-cannot-reach",
        one_after_the_other(registry("-p 127.0.0.1:5001:5000"), in_front("172.17.0.250:5000")),
        FRONT,
        outside="502",
    ),
    fault(
        "proxy-in-front-of-an-unpublished-registry",
        one_after_the_other(registry(""), in_front("172.17.0.250:5000")),
        FRONT,
        outside="502",
    ),
    fault(
        "proxy-of-the-host-in-front-of-a-registry-it-cannot-reach",
        one_after_the_other(registry("-p 127.0.0.1:5001:5000"), process(proxying("127.0.0.1:5002"))),
        FRONT,
        outside="502",
    ),
    fault(
        "proxy-in-front-of-a-stopped-registry",
        one_after_the_other(
            registry("-p 127.0.0.1:5001:5000"), in_front("172.17.0.1:5001"), typed("docker stop registry >/dev/null")
        ),
        "container-stopped",
        outside="502",
    ),
    fault(
        "proxy-watched-in-front-of-a-registry-it-cannot-reach",
        one_after_the_other(registry("-p 127.0.0.1:5001:5000"), in_front("172.17.0.250:5000")),
        FRONT,
        outside="502",
        service=replace(REGISTRY, container=None),
    ),
    fault(
        "proxy-answers-in-a-registry-s-place",
        one_after_the_other(registry("-p 127.0.0.1:5001:5000"), process(answering())),
        FRONT,
        outside="200",
    ),
    fault(
        "failing-registry-behind-a-proxy",
        one_after_the_other(
            typed("touch /etc/down"),
            configured(_MAINTENANCE, "-v /etc/down:/etc/down", publish="-p 127.0.0.1:5001:5000"),
            process(proxying("127.0.0.1:5001")),
            until("503"),
        ),
        ERROR,
        outside="503",
    ),
    fault("registry-s-place-taken-by-a-failing-program", python(answering(500)), ERROR, outside="500"),
    fault("https-asked-of-http", lambda _: None, SCHEME, outside="no TLS", service=ON_TLS),
    fault("http-asked-of-https", with_certificate(), SCHEME, outside="400"),
    fault("certificate-expired", with_certificate(days=-2), EXPIRED, outside="200", service=ON_TLS),
    fault(
        "certificate-untrusted",
        with_certificate(how="unknown"),
        UNTRUSTED,
        outside="200",
        service=ON_TLS,
        core=True,
    ),
    fault("certificate-self-signed", with_certificate(how="self-signed"), UNTRUSTED, outside="200", service=ON_TLS),
    fault("certificate-without-its-chain", with_certificate(how="short"), UNTRUSTED, outside="200", service=ON_TLS),
    fault("certificate-of-an-expired-issuer", with_certificate(how="stale"), EXPIRED, outside="200", service=ON_TLS),
    fault("certificate-not-yet-valid", with_certificate(since=-2), NOT_YET, outside="200", service=ON_TLS),
    fault(
        "certificate-of-another-address",
        with_certificate(address="192.168.7.7"),
        ANOTHER_NAME,
        outside="200",
        service=ON_TLS,
    ),
    fault("another-program-answers", python(answering()), NOT_ONE, outside="200"),
    fault("another-program-does-not-know-the-path", python(answering(404)), NOT_ONE, outside="404"),
    fault("docker-s-disk-full", typed(_DOCKER_ON_A_SMALL_DISK), FULL, outside="refused"),
    healthy("registry-asks-for-a-login", configured(_LOGIN), outside=("401",)),
    healthy("registry-on-tls", with_certificate(), service=ON_TLS),
    healthy("certificate-expiring", with_certificate(days=5), service=ON_TLS, risks=("certificate-expiring",)),
    healthy(
        "registry-s-volume-is-full",
        one_after_the_other(
            typed(_SMALL_DISK % "1m" + _FILL), registry(f"{PUBLISHED} -v /srv/small:/var/lib/registry")
        ),
        risks=("disk-filling",),
    ),
    healthy("web-page", python(answering()), service=replace(REGISTRY, kind=ServiceKind.HTTP)),
)
