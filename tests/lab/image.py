"""One root tree a generation of Debian, built once and kept: what every host of that generation starts from.

A tree's directory carries a hash of its recipe, so a changed recipe is a new tree and an unchanged one is never
built twice. A tree is built beside its final place and renamed, so a half-built one is never taken for a whole one.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import run

CACHE = Path(os.environ.get("DOCKERHEALTH_LAB_CACHE", "/var/cache/dockerhealth-lab"))
MIRROR = os.environ.get("DOCKERHEALTH_LAB_MIRROR", "").split()  # debootstrap knows its own where none is given
BUILD_TIMEOUT = 900
USER = "dockerhealth"
REGISTRY_TAR = "/usr/share/dockerhealth-lab/registry.tar"

BASE = "systemd,systemd-sysv,dbus,openssh-server,iptables,nftables,iproute2,procps,sudo,curl,ca-certificates,kmod"
PACKAGES = ("docker.io", "docker-registry", "firewalld", "python3", "tcpdump")

FINISH = f"""
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt-get install -y --no-install-recommends "$@"
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb

# docker-registry.service would take port 5000 from the container
systemctl disable docker-registry.service firewalld.service
systemctl enable systemd-networkd.service ssh.service docker.service
systemctl set-default multi-user.target
systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer console-getty.service

useradd --create-home --shell /bin/sh --groups docker,systemd-journal {USER}
# '*' and not '!': no password, but the account is not locked
usermod --password '*' {USER}
install -d -o {USER} -g {USER} -m 0700 /home/{USER}/.ssh
rm -f /etc/ssh/ssh_host_*

# tests restart dockerd more often than systemd likes; a test of that very limit removes this file
mkdir -p /etc/systemd/system/docker.service.d
printf '[Unit]\\nStartLimitIntervalSec=0\\n' > /etc/systemd/system/docker.service.d/lab-start-limit.conf

# no image can be pulled, so the registry image is the package's binary and the libraries it names
image=$(mktemp -d)
binary=$(command -v docker-registry)
mkdir -p "$image/bin" "$image/etc" "$image/tmp" "$image/var/lib/registry" {Path(REGISTRY_TAR).parent}
cp "$binary" "$image/bin/registry"
ldd "$binary" | grep -o '/[^ ]*' | xargs -r -I@ cp --parents -L @ "$image" || true
cat > "$image/etc/registry.yml" <<'YML'
version: 0.1
storage: {{filesystem: {{rootdirectory: /var/lib/registry}}}}
http:
  addr: :5000
  headers: {{X-Content-Type-Options: [nosniff]}}
YML
tar -C "$image" -cf {REGISTRY_TAR} .
rm -rf "$image"
"""


@dataclass(frozen=True)
class Generation:
    """A Debian suite, with what sets its hosts apart."""

    suite: str
    number: int  # the last digit of its hosts' addresses
    extra: tuple[str, ...] = ()

    @property
    def recipe(self) -> str:
        """All that decides what comes out, as text: its hash names the tree."""
        return "\n".join((self.suite, *MIRROR, BASE, *PACKAGES, *self.extra, FINISH))

    @property
    def tree(self) -> Path:
        digest = hashlib.sha256(self.recipe.encode()).hexdigest()[:12]
        return CACHE / "trees" / f"{self.suite}-{digest}"


GENERATIONS = {
    generation.suite: generation
    for generation in (
        Generation("bookworm", 1),
        Generation("trixie", 2, ("docker-cli", "libpam-systemd")),
        Generation("bullseye", 3),
        Generation("sid", 4, ("docker-cli", "libpam-systemd")),
    )
}


def built(generation: Generation) -> Path:
    """The tree of a generation, built now if it is not there yet. Others who want the same one wait for it."""
    tree = generation.tree
    with _only_one_builder(generation):
        if not tree.is_dir():
            _remove_old_trees(generation)
            _build(generation, tree)
    return tree


@contextmanager
def _only_one_builder(generation: Generation) -> Iterator[None]:
    trees = CACHE / "trees"
    trees.mkdir(parents=True, exist_ok=True)
    with (trees / f".{generation.suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_old_trees(generation: Generation) -> None:
    """Trees of older recipes and of builds that were cut off: 0.8 GB each that nobody would use again."""
    for pattern in (f"{generation.suite}-*", f".building-{generation.suite}-*"):
        for old in (CACHE / "trees").glob(pattern):
            if not _in_use(old):
                shutil.rmtree(old)


def _in_use(tree: Path) -> bool:
    """Whether a running host stands on this tree: its overlay is in some process's mount table."""
    return any(f"lowerdir={tree}," in mounts for mounts in _mount_tables())


def _mount_tables() -> Iterator[str]:
    for table in Path("/proc").glob("[0-9]*/mounts"):
        try:
            yield table.read_text()
        except OSError:  # the process ended while we looked
            continue


def _build(generation: Generation, tree: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix=f".building-{generation.suite}-", dir=tree.parent))
    try:
        root = building / "root"
        run(
            *("debootstrap", "--variant=minbase", f"--include={BASE}"),
            *(generation.suite, str(root), *MIRROR),
            timeout=BUILD_TIMEOUT,
        )
        _finish(generation, root)
        root.rename(tree)
    finally:
        shutil.rmtree(building)


def _finish(generation: Generation, root: Path) -> None:
    """Install the packages and shape the tree from inside, with the machine's own network and resolver."""
    run(
        *("systemd-nspawn", "--quiet", "--pipe", "--register=no", "--keep-unit", "--resolv-conf=copy-host"),
        *("--timezone=off", "--link-journal=no", "-D", root),
        *("sh", "-euc", FINISH, "/finish", *PACKAGES, *generation.extra),
        timeout=BUILD_TIMEOUT,
    )
    (root / "etc/resolv.conf").unlink()
    (root / "etc/resolv.conf").write_text("# the lab has no name server: nothing in it leaves the machine\n")
