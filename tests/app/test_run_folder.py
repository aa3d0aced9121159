# SPDX-License-Identifier: Apache-2.0
from omni.myriad.app.run_folder import new_run_dir


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "now")
    config = {"train_dir": str(tmp_path), "experiment": "", "task_name": "Ant", "checkpoint": ""}
    first = new_run_dir(config)
    assert new_run_dir(config) == first.with_name("Ant_now_2")
