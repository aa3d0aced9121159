# SPDX-License-Identifier: Apache-2.0
"""Training while other work keeps the cores busy: how many starts hang, and how much longer training takes.

python tests/under_load.py starts --times 100    # 0 may hang
python tests/under_load.py train --busy 1        # at most twice as long as alone
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


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


def train(folder: Path, name: str, limit: float, *overrides: str) -> tuple[str, float]:
    """Train in a process of its own; return "ok", "failed" or "hung", and how many seconds it took."""
    command = [sys.executable, str(ROOT / "train.py"), "task=Cartpole", "sim_device=cpu", *overrides]
    start = time.monotonic()
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"train_dir={folder}", f"experiment={name}"],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            outcome = "ok" if process.wait(limit) == 0 else "failed"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            outcome = "hung"
    if outcome != "ok":
        print((folder / f"{name}.log").read_text()[-2000:], file=sys.stderr)
    return outcome, time.monotonic() - start


def starts(folder: Path, times: int, busy: int, limit: float) -> bool:
    """Start again and again beside busy cores, print how each start went, and return whether all went well."""
    seconds, outcomes = [], []
    with busy_cores(busy):
        for number in range(1, times + 1):
            outcome, took = train(folder, f"start_{number}", limit, "num_envs=16", "max_iterations=1")
            outcomes.append(outcome)
            seconds.append(took)
            print(f"{number}/{times}: {outcome} after {took:.1f} s", flush=True)
    hung, failed = outcomes.count("hung"), outcomes.count("failed")
    print(
        f"{times} starts beside {busy} busy processes: {hung} hung, {failed} failed, "
        f"{statistics.median(seconds):.1f} s in the middle, {max(seconds):.1f} s at most"
    )
    return not hung + failed


def training(folder: Path, times: int, busy: int, limit: float) -> bool:
    """Train alone and beside busy cores in turn, print the seconds of training, and return whether twice sufficed."""
    seconds: dict[int, list[float]] = {0: [], busy: []}
    for number in range(1, times + 1):
        for others, found in seconds.items():
            name = f"train_{number}_{others}"
            with busy_cores(others):
                outcome, _ = train(folder, name, limit)
            if outcome != "ok":
                return False
            found.append(json.loads((folder / name / "summary.json").read_text())["train_seconds"])
            print(f"{number}/{times}: beside {others} busy processes {found[-1]:.1f} s of training", flush=True)
    alone, beside = (statistics.median(found) for found in seconds.values())
    print(f"Cartpole: {alone:.1f} s alone, {beside:.1f} s beside {busy} busy processes: {beside / alone:.2f} times")
    return beside <= 2.0 * alone


def main() -> int:
    """Print what was measured, and return 1 if a start hung or failed, or training took more than twice as long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("starts", "train"))
    parser.add_argument("--times", type=int, default=3, help="how many times")
    parser.add_argument("--busy", type=int, default=len(os.sched_getaffinity(0)), help="processes that spin meanwhile")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds after which a process counts as hung")
    arguments = parser.parse_args()
    measure = starts if arguments.what == "starts" else training
    with tempfile.TemporaryDirectory() as folder:
        return 0 if measure(Path(folder), arguments.times, arguments.busy, arguments.limit) else 1


if __name__ == "__main__":
    sys.exit(main())
