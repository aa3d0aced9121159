# SPDX-License-Identifier: Apache-2.0
"""Opening a live page: the source beside the simulation, and the page in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Client
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omni.myriad.errors import MyriadError
from omni.myriad.places import child_environment
from omni.myriad.viewer.wire import address_of

if TYPE_CHECKING:
    from omni.myriad.env.vec_env import VecEnv
    from omni.myriad.viewer.source import Source

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def visible(
    env: VecEnv, config: Mapping[str, Any], place: Path, about: Mapping[str, Any] | None = None
) -> Iterator[Source | None]:
    """Let an environment be looked at while the block lasts, and open a page at once where `viewer` says so.

    Args:
        env: The environment; the source becomes one of its watchers.
        config: The resolved configuration: `viewer`, `viewer_host`, `viewer_port`.
        place: What `./myriad view` finds it by: the run's folder, or any path.
        about: What the page shows of it, as for `Source`.

    Yields:
        The source; None where this engine or system cannot be looked at, and no page was asked for.

    Raises:
        MyriadError: If the page that was asked for cannot be opened.
    """
    from omni.myriad.viewer.source import Source

    try:
        source = Source(env, address_of(place), about or {})
    except (OSError, MyriadError) as error:
        if config["viewer"]:
            raise MyriadError(f"viewer=True: no live page can be opened: {error}") from None
        logger.debug("this cannot be looked at: %s", error)
        yield None
        return
    child = None
    try:
        if config["viewer"]:
            command = [sys.executable, "-m", "omni.myriad.viewer.session", address_of(place)]
            command += [config["viewer_host"] or LOOPBACK, str(config["viewer_port"])]
            # A session of its own: Ctrl-C is for us.
            child = subprocess.Popen(command, env=child_environment(), start_new_session=True)
        yield source
    finally:
        source.close()
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)  # it ends when we hang up
            child.kill()
            child.wait()


def show(address: str, host: str = LOOPBACK, port: int = 8080) -> None:
    """Show what is at a socket, print the page's address, and return when the simulation ends.

    Args:
        address: The socket.
        host: Where the page can be reached; where that is not this machine alone, it needs a token.
        port: Its port, or one of the next ones.

    Raises:
        FileNotFoundError: If nothing is there to be looked at.
        MyriadError: If the address cannot be had.
    """
    from omni.myriad.viewer.gate import Gate

    connection = Client(address, "AF_UNIX")
    from omni.myriad.viewer.page import Page

    alone = host in (LOOPBACK, "localhost")
    page = Page(connection, LOOPBACK, port if alone else 0)
    if alone:
        where = f"http://{host}:{page.port}"
    else:
        try:
            gate = Gate(host, port, page.port)
        except OSError as error:
            raise MyriadError(f"viewer_host={host} viewer_port={port} cannot be had: {error.strerror}.") from None
        name = socket.gethostname() if host in ("0.0.0.0", "::") else host
        where = f"http://{name}:{gate.port}/?token={gate.token}"
    print(f"Live page: {where}", flush=True)
    page.run()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        show(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    except (MyriadError, OSError) as problem:
        print(f"No live page: {problem}", file=sys.stderr)
        sys.exit(2)
