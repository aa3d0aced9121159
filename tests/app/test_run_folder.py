# SPDX-License-Identifier: Apache-2.0
from omni.myriad.app.run_folder import new_run_dir


def test_every_process_of_a_multi_gpu_run_has_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "now")
    config = {"train_dir": str(tmp_path), "experiment": "", "task_name": "Ant", "checkpoint": ""}
    monkeypatch.setenv("RANK", "0")
    first = new_run_dir(config)
    monkeypatch.setenv("RANK", "1")
    assert new_run_dir(config) == first
    monkeypatch.setenv("RANK", "0")
    assert new_run_dir(config) == first.with_name("Ant_now_2")  # a run of its own, started in the same second
