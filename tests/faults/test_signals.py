# SPDX-License-Identifier: Apache-2.0
"""What ends a training from outside, and what it leaves behind: each test runs one and ends it so."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.learn import checkpoint

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ["task=Cartpole", "sim_device=cpu", "num_envs=32", "experiment=run"]
ENDLESS = [sys.executable, str(ROOT / "train.py"), *SETTINGS, "max_iterations=100000"]
LIMIT_S = 120


def wait_for(moment, process):
    deadline = time.monotonic() + LIMIT_S
    while not moment():
        assert process.poll() is None, f"it ended by itself with {process.returncode}"
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.02)


def epochs(folder):
    """Return how many epochs progress.csv holds by now."""
    file = folder / "runs/run/progress.csv"
    return len(file.read_text().splitlines()) - 1 if file.exists() else 0


def heed():
    """Let a child heed signals that the shell around us, or nohup, has it ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(folder, **options):
    with (folder / "output.txt").open("w") as output:
        pipes = {"stdout": output, "stderr": subprocess.STDOUT, "preexec_fn": heed, **options}
        return subprocess.Popen(ENDLESS, cwd=folder, **pipes)


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGINT])
def test_what_would_end_the_process_lets_it_save(tmp_path, sent):
    process = start(tmp_path)
    wait_for(lambda: epochs(tmp_path) >= 2, process)
    process.send_signal(sent)
    assert_saved(process, tmp_path, sent)


def assert_saved(process, tmp_path, sent):
    """See that a signal let the training save."""
    assert process.wait(LIMIT_S) == 128 + sent
    printed = (tmp_path / "output.txt").read_text()
    assert "Interrupted" in printed and "Traceback" not in printed
    assert f"resume with checkpoint={tmp_path / 'runs/run'}\n" in printed
    state = checkpoint.load(tmp_path / "runs/run/checkpoints/last.pth")
    assert state["epoch"] == epochs(tmp_path)


def test_a_closed_terminal_lets_it_save(tmp_path):
    ours, theirs = pty.openpty()
    process = start(tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    os.set_blocking(ours, False)

    def two_epochs():
        with contextlib.suppress(BlockingIOError):
            os.read(ours, 65536)  # a terminal that nobody reads would stop it
        return epochs(tmp_path) >= 2

    wait_for(two_epochs, process)
    os.close(ours)
    process.send_signal(signal.SIGHUP)  # as the shell does to its jobs
    assert process.wait(LIMIT_S) == 128 + signal.SIGHUP
    assert checkpoint.load(tmp_path / "runs/run/checkpoints/last.pth")["epoch"] >= 2
    assert (tmp_path / "runs/run/summary.json").exists()


def test_nohup_means_that_a_closed_terminal_does_not_matter_and_sigterm_does(tmp_path):
    process = start(tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_for(lambda: epochs(tmp_path) >= 1, process)
    process.send_signal(signal.SIGHUP)
    before = epochs(tmp_path)
    wait_for(lambda: epochs(tmp_path) >= before + 2, process)
    process.send_signal(signal.SIGTERM)
    assert_saved(process, tmp_path, signal.SIGTERM)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_what_ends_before_its_first_checkpoint_can_be_started_again(tmp_path, monkeypatch, sent):
    process = start(tmp_path)
    wait_for((tmp_path / "runs/run").exists, process)
    process.send_signal(sent)
    assert process.wait(LIMIT_S) in (128 + sent, -sent)
    assert "Traceback" not in (tmp_path / "output.txt").read_text()
    monkeypatch.chdir(tmp_path)
    runs.train(load_config([*SETTINGS, "max_iterations=1"]))
    assert checkpoint.load(tmp_path / "runs/run/checkpoints/last.pth")["epoch"] == 1
