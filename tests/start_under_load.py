# SPDX-License-Identifier: Apache-2.0
"""Start training again and again while other work keeps every core busy, and count the starts that hang.

python tests/start_under_load.py --starts 100
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHORT = ("task=Cartpole", "sim_device=cpu", "num_envs=16", "max_iterations=1")


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep `count` processes spinning while the context lasts."""
    processes = [multiprocessing.Process(target=spin, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def start_once(folder: Path, name: str, limit: float) -> tuple[str, float]:
    """Train one epoch in a process of its own; return "ok", "failed" or "hung", and how many seconds it took."""
    command = [sys.executable, str(ROOT / "train.py"), *SHORT, f"train_dir={folder}", f"experiment={name}"]
    start = time.monotonic()
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            outcome = "ok" if process.wait(limit) == 0 else "failed"
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            outcome = "hung"
    return outcome, time.monotonic() - start


def main() -> int:
    """Print how each start went, and return 1 if one hung or failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=100, help="how many times to start")
    parser.add_argument("--busy", type=int, default=len(os.sched_getaffinity(0)), help="processes that spin meanwhile")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which a start counts as hung")
    arguments = parser.parse_args()
    seconds: list[float] = []
    outcomes: list[str] = []
    with tempfile.TemporaryDirectory() as folder, busy_cores(arguments.busy):
        for number in range(1, arguments.starts + 1):
            outcome, took = start_once(Path(folder), f"start_{number}", arguments.limit)
            outcomes.append(outcome)
            seconds.append(took)
            print(f"{number}/{arguments.starts}: {outcome} after {took:.1f} s", flush=True)
            if outcome != "ok":
                print((Path(folder) / f"start_{number}.log").read_text()[-2000:], file=sys.stderr)
    hung, failed = outcomes.count("hung"), outcomes.count("failed")
    print(
        f"{len(outcomes)} starts beside {arguments.busy} busy processes: {hung} hung, {failed} failed, "
        f"{statistics.median(seconds):.1f} s in the middle, {max(seconds):.1f} s at most"
    )
    return 1 if hung or failed else 0


if __name__ == "__main__":
    sys.exit(main())
