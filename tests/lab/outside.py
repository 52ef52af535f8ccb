"""One HTTP request and how it ended, in the words of CAUSES.md: the lab's own witness.

It shares no code with the program under test, so that it can contradict it. Run as a program inside a host's network
namespace it gives the other vantages the very same words.
"""

import errno
import http.client
import socket
import ssl
import sys
from urllib.parse import urlsplit

REGISTRY_PORT = 5000
_WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "no route",
    errno.ENETUNREACH: "no network",
    errno.ETIMEDOUT: "timed out",
    errno.EACCES: "not permitted",
    socket.EAI_NONAME: "no such name",
    socket.EAI_AGAIN: "no name server",
}


def reach(address: str, port: int = REGISTRY_PORT, path: str = "/v2/", timeout: float = 2.0) -> str:
    """The status of a GET as text, or one or two words for the way in which it failed."""
    return _get(http.client.HTTPConnection(address, port, timeout=timeout), path)


def reach_url(url: str, timeout: float = 2.0) -> str:
    """The same for a URL: also ``https``, where the certificate does not matter, and ``tcp``, which says `accepted`."""
    parts = urlsplit(url)
    address, port = parts.hostname or "", parts.port or REGISTRY_PORT
    if parts.scheme == "https":
        trusting = ssl._create_unverified_context()  # noqa: S323, SLF001  # whose certificate it is, is not asked here
        return _get(http.client.HTTPSConnection(address, port, timeout=timeout, context=trusting), "/v2/")
    if parts.scheme == "tcp":
        return _connect(address, port, timeout)
    return reach(address, port, timeout=timeout)


def _connect(address: str, port: int, timeout: float) -> str:
    try:
        socket.create_connection((address, port), timeout).close()
    except TimeoutError:
        return "timed out"
    except OSError as error:
        return _WORDS.get(error.errno or 0, str(error))
    return "accepted"


def _get(connection: http.client.HTTPConnection, path: str) -> str:
    try:
        connection.request("GET", path)
        return str(connection.getresponse().status)
    except TimeoutError:
        return "timed out"
    except http.client.RemoteDisconnected:
        return "reset"
    except ssl.SSLError:
        return "no TLS"
    except http.client.HTTPException as garbled:
        return f"not HTTP: {garbled!r}"
    except OSError as error:
        return _WORDS.get(error.errno or 0, str(error))
    finally:
        connection.close()


if __name__ == "__main__":
    sys.stdout.write(reach(sys.argv[1], int(sys.argv[2])))
