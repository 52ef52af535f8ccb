"""parallel-ssh: libssh2 below gevent. It does not verify host keys."""

from collections.abc import Mapping

from pssh.clients import ParallelSSHClient

from .contestant import Turn
from .site import Site

PARALLEL = "parallel-ssh"


class Parallel:
    """One client a batch of hosts: its own pool bounds only how many commands start at a time, not how many run."""

    def __init__(self, site: Site) -> None:
        self._site = site
        size = site.concurrency
        batches = [site.addresses[start : start + size] for start in range(0, len(site.addresses), size)]
        self._clients = {batch: _client(site, batch) for batch in batches}

    async def open(self) -> None:
        """Its first turn opens the connections."""

    def turns(self) -> Mapping[str, Turn]:
        return {PARALLEL: self._run}

    async def tidy(self) -> None:
        """The connections stay."""

    def helpers_cpu(self) -> float:
        return 0.0

    def notes(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        self._clients.clear()  # that is how it disconnects

    async def _run(self) -> int:
        return sum(self._run_batch(batch) for batch in self._clients)

    def _run_batch(self, batch: tuple[str, ...]) -> int:
        """Run the command on a batch. gevent's loop has this thread until all have answered."""
        client, received = self._clients[batch], 0
        outputs = client.run_command("%s", host_args=[(self._site.commands[address],) for address in batch])
        client.join(outputs)
        for output in outputs:
            received += sum(len(line) + 1 for stream in (output.stdout, output.stderr) for line in stream)
        return received


def _client(site: Site, batch: tuple[str, ...]) -> ParallelSSHClient:
    return ParallelSSHClient(
        batch,
        user=site.user,
        port=site.port,
        pkey=str(site.key),
        pool_size=site.concurrency,
        num_retries=1,
        timeout=60,
        allow_agent=False,
        identity_auth=False,
    )
