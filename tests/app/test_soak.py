# SPDX-License-Identifier: Apache-2.0
"""The soak notices what is not as promised: good and bad folders that a run could leave are put before it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from omni.myriad.app.options import parse
from omni.myriad.app.soak import Bath, Soak, Training
from omni.myriad.learn import checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    """Return a run that was killed in epoch 11, and had saved the tenth."""
    bath = Bath(parse("soak", Soak, [])[1], tmp_path)
    run = Training(bath, "run", "Cartpole", goal=100)
    run.start = 1
    run.log.write_text("epoch 1/100  frames 512\nepoch 11/100  frames 1024\n")
    run.folder.mkdir(parents=True)
    rows(run, range(1, 12))
    save(run.checkpoint, 10)
    save(run.checkpoint.with_name("epoch_10.pth"), 10)
    return run


def rows(run, epochs):
    (run.folder / "progress.csv").write_text("epoch,frames\n" + "".join(f"{epoch},0\n" for epoch in epochs))


def save(path, epoch):
    path.parent.mkdir(exist_ok=True)
    about = {"format": checkpoint.FORMAT}
    checkpoint.save(path, {"model": {"a": torch.zeros(2000)}, "myriad": about, "epoch": epoch})


def test_what_is_as_promised_is_counted(run):
    run._check(-signal.SIGKILL, signal.SIGKILL)
    assert run.bath.violations == [] and run.epoch == 10
    assert run.bath.counts["checked: no epoch older than the last save is lost"] == 1
    assert sum(run.bath.counts[f"bit flips: {outcome}"] for outcome in ("refused", "same contents")) == 3
    assert run.bath.counts["truncations: refused"] == 1


@pytest.mark.parametrize(
    ("spoil", "code", "promise"),
    [
        (lambda run: run.log.write_text("epoch 1/9\nTraceback (most recent call last)\n"), -9, "no traceback"),
        (lambda run: run.log.write_text("epoch 2/100\n"), -9, "a resumed run goes on with the epoch after"),
        (lambda run: rows(run, [1, 2, 2, 3]), -9, "progress.csv has every epoch once"),
        (lambda run: rows(run, range(1, 17)), -9, "no epoch older than the last save is lost"),
        (lambda run: save(run.checkpoint, 4), -9, "no epoch older than the last save is lost"),
        (lambda run: run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:99]), -9, "the last checkpoint loads"),
        (lambda run: run.checkpoint.unlink(), -9, "there is a checkpoint"),
        (lambda run: save(run.checkpoint.with_name("epoch_10.pth"), 9), -9, "a numbered checkpoint holds its epoch"),
        (lambda run: None, 1, "a signal's exit code"),
        (lambda run: None, 130, "a run that was asked to stop loses no epoch"),
        (lambda run: (run.folder / ".left.unfinished").mkdir(), 130, "no temporary files but where it was killed"),
    ],
)
def test_what_is_not_as_promised_is_found(run, spoil, code, promise):
    spoil(run)
    run._check(code, signal.SIGINT if code == 130 else signal.SIGKILL)
    assert [found for found in run.bath.violations if found.startswith(promise)]


def test_what_a_file_that_rotted_holds_is_compared(run, monkeypatch):
    other = checkpoint.load(run.checkpoint) | {"epoch": 11}
    state, data = checkpoint.load(run.checkpoint), run.checkpoint.read_bytes()
    monkeypatch.setattr(checkpoint, "load", lambda path: other)
    run._corrupt(data, state)
    assert len(run.bath.violations) == 5 and run.bath.counts["bit flips: other contents"] == 3


def test_help_and_odd_settings():
    command = [sys.executable, "-m", "omni.myriad", "soak"]
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "minutes=120.0" in done.stdout
    done = subprocess.run([*command, "minutes=-1"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.nightly
def test_two_minutes(tmp_path):
    command = [sys.executable, "-m", "omni.myriad", "soak", "minutes=2", "seed=7", f"output={tmp_path / 'soak'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "soak" / "report.json").read_text())
    assert report["violations"] == [] and report["counts"]["checked: no traceback"] > 3
