"""One HTTP request and how it ended, in the words of CAUSES.md: the lab's own witness.

It shares no code with the program under test, so that it can contradict it. Run as a program inside a host's network
namespace it gives the other vantages the very same words.
"""

import errno
import http.client
import sys

REGISTRY_PORT = 5000
_WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "no route",
    errno.ENETUNREACH: "no network",
    errno.ETIMEDOUT: "timed out",
}


def reach(address: str, port: int = REGISTRY_PORT, path: str = "/v2/", timeout: float = 2.0) -> str:
    """The status of a GET as text, or one or two words for the way in which it failed."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return str(connection.getresponse().status)
    except TimeoutError:
        return "timed out"
    except http.client.RemoteDisconnected:
        return "reset"
    except http.client.HTTPException as garbled:
        return f"not HTTP: {garbled!r}"
    except OSError as error:
        return _WORDS.get(error.errno or 0, str(error))
    finally:
        connection.close()


if __name__ == "__main__":
    sys.stdout.write(reach(sys.argv[1], int(sys.argv[2])))
