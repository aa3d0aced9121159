# SPDX-License-Identifier: Apache-2.0
"""Start one process for each GPU of this machine, and end them all when one of them fails.

What torchrun does for several machines, with the failing process's own words as the last ones.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from omni.myriad.errors import EXIT_RANK_LOST
from omni.myriad.places import child_environment

_GRACE_SECONDS = 2.0  # between asking a process to end and ending it: one that waits for a GPU cannot hear
_LOOK_SECONDS = 0.1
_SAVE_SECONDS = 60.0  # for the first rank to save what there is, where a signal ended the others
_PR_SET_PDEATHSIG = 1  # of Linux' prctl: the signal that a process gets when its parent has died


def run_ranks(count: int, arguments: Sequence[str]) -> int:
    """Run a command once for each rank, and return the exit code of the first that failed, 0 where none did.

    The first rank has our terminal; the others' output is dropped, but for errors. What ends us ends them: a signal is
    passed on once.

    Args:
        count: How many processes, one for each GPU.
        arguments: What follows Python on the command line.
    """
    from torch._C._distributed_c10d import TCPStore  # as torch.distributed has it

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # torch's words for: the store is there already
        "TORCHELASTIC_RESTART_COUNT": "0",
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo"),
    }
    libc = ctypes.CDLL(None)
    ranks: list[subprocess.Popen[bytes]] = []

    def start(rank: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=child_environment() | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if rank else None,
            start_new_session=True,  # else a terminal's Ctrl-C would reach it twice
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )

    def pass_on(number: int, _frame: FrameType | None) -> None:
        for process in ranks:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        ranks.extend(start(rank) for rank in range(count))
        return _wait(ranks)
    finally:
        _end(ranks)
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(ranks: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until all are done or one has failed; one that lost another has not failed itself."""
    deadline = math.inf
    while True:
        codes = [process.poll() for process in ranks]
        for rank, code in enumerate(codes):
            if code is not None and code < 0:
                print(f"Error: rank {rank} was ended by {signal.Signals(-code).name}.", file=sys.stderr)
                return 128 - code
            if code not in (None, 0, EXIT_RANK_LOST) and code < 128:
                return code
        ended = [code for code in codes if code is not None]
        if len(ended) == len(ranks) or time.monotonic() > deadline:
            return max(ended)
        if any(code >= 128 for code in ended):  # a signal, after which all end and the first has something to save
            deadline = min(deadline, time.monotonic() + _SAVE_SECONDS)
        time.sleep(_LOOK_SECONDS)


def _end(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that still run, first by asking."""
    for process in ranks:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in ranks:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
