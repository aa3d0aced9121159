# SPDX-License-Identifier: Apache-2.0
"""A run's folder belongs to one process at a time; who holds it is a process of its own here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from omni.myriad.app.run_folder import claimed
from omni.myriad.errors import MyriadError
from omni.myriad.files import write_text

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from omni.myriad.app.run_folder import claimed
with claimed({"train_dir": sys.argv[1], "experiment": "run", "checkpoint": "", "task_name": "Ant"}) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def config(folder, **changes):
    return {"train_dir": str(folder), "experiment": "", "task_name": "Ant", "checkpoint": "", **changes}


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline().strip() == str(tmp_path / "run")
        yield process
        process.kill()


def test_a_second_run_in_a_folder_is_told_who_is_there(tmp_path, holder):
    with pytest.raises(MyriadError, match=rf"run is in use by process {holder.pid}: ") as caught:
        claimed(config(tmp_path, experiment="run")).__enter__()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_the_lock_of_a_process_that_is_gone_holds_nobody_up(tmp_path, holder, end):
    getattr(holder, end)()
    holder.wait()
    with claimed(config(tmp_path, experiment="run")) as folder:
        assert (folder / ".lock").read_text() == str(os.getpid())


def test_a_folder_that_holds_a_run_is_taken_by_who_resumes_it_alone(tmp_path):
    checkpoint = tmp_path / "run" / "checkpoints" / "last.pth"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")
    with pytest.raises(MyriadError, match="already holds a run"):
        claimed(config(tmp_path, experiment="run")).__enter__()
    with claimed(config(tmp_path, experiment="run", checkpoint=str(checkpoint))) as folder:
        assert folder == tmp_path / "run"


def test_what_a_killed_process_had_not_finished_is_removed(tmp_path):
    for left in ("run/.config.yaml.x1.unfinished", "run/checkpoints/.last.pth.x2.unfinished"):
        (tmp_path / left).mkdir(parents=True)
        (tmp_path / left / "half").write_text("")
    (tmp_path / "run" / ".mine").write_text("")
    with claimed(config(tmp_path, experiment="run")) as folder:
        assert sorted(path.name for path in folder.rglob("*")) == [".lock", ".mine", "checkpoints"]


def test_nothing_is_written_through_links(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("theirs")
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").symlink_to(victim / "file")
    with claimed(config(tmp_path, experiment="run")) as folder:
        write_text(folder / "config.yaml", "ours")  # the link is replaced, and not what it leads to
    assert (victim / "file").read_text() == "theirs" and not (run / "config.yaml").is_symlink()
    (run / "checkpoints").symlink_to(victim)
    with pytest.raises(MyriadError, match="run/checkpoints is a link to another folder"):
        claimed(config(tmp_path, experiment="run")).__enter__()
    (run / "checkpoints").unlink()
    (run / ".lock").unlink()
    (run / ".lock").symlink_to(victim / "file")
    with pytest.raises(MyriadError, match="run cannot be written: "):
        claimed(config(tmp_path, experiment="run")).__enter__()
    assert (victim / "file").read_text() == "theirs"


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "now")
    with claimed(config(tmp_path)) as first, claimed(config(tmp_path)) as another:
        assert another == first.with_name("Ant_now_2")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MyriadError, match="file/runs cannot be created: Not a directory"):
        claimed(config(tmp_path / "file" / "runs")).__enter__()
