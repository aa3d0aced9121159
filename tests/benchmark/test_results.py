# SPDX-License-Identifier: Apache-2.0
"""What the results file holds, and how files become one."""

import json

import pytest

from omni.myriad.benchmark import report, results
from omni.myriad.errors import MyriadError

from .conftest import measurement, seed_run


def test_headlines_are_medians_by_num_envs(full):
    entry = full["by_num_envs"]["256"]
    assert entry["bare_loop_env_steps_per_second"] == 512_000.0
    assert entry["env_steps_per_second"] == 384_000.0
    assert entry["train_frames_per_second"] == 1000.0
    assert entry["startup_seconds"] == 4.0
    assert entry["startup"]["values"] == [5.0, 3.0, 4.0] and entry["startup"]["phases"] == {
        "imports": 1.0,
        "engine": 3.0,
    }
    assert entry["train"]["phases"] == {"physics": 0.75, "task": 0.25}
    assert full["machine"]["cpu"] == "Abacus 9"
    assert full["versions"] == {"myriad": "0.0", "rl-games": "1.6.5", "mujoco": "3"}


def test_seconds_to_a_reward_are_one_a_seed_and_never_counts_as_longest(full):
    seeds = full["over_seeds"]
    assert seeds["seeds"] == [1, 2, 3]
    assert seeds["seconds_to_3000"] == [7.0, 9.0, None] and seeds["median_seconds_to_3000"] == 9.0
    assert seeds["seconds_to_5900"] == [None, None, None] and seeds["median_seconds_to_5900"] is None


def test_a_file_comes_back_as_it_went(full, tmp_path):
    file = tmp_path / "deep" / "ant-cpu.json"
    results.save(full, file)
    assert results.load(file) == json.loads(json.dumps(full))
    assert '"values": [900.0, 1000.0, 1100.0]' in file.read_text(), "a list of numbers is one line"
    assert list(file.parent.iterdir()) == [file]


def test_a_file_of_when_the_bare_loop_was_called_floor_is_read(full, tmp_path):
    file = tmp_path / "old.json"
    results.save(full, file)
    file.write_text(file.read_text().replace('"bare_loop', '"floor'))
    assert results.load(file) == json.loads(json.dumps(full))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": "Ant"}'])
def test_other_files_are_refused(tmp_path, text):
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(MyriadError, match="is not a results file"):
        results.load(file)


def test_another_schema_is_refused(tmp_path, full):
    file = tmp_path / "new.json"
    results.save(full | {"schema": 99}, file)
    with pytest.raises(MyriadError, match="has schema 99"):
        results.load(file)


def test_merging_adds_replaces_and_forgets_what_was_done_after_all(empty):
    first, second = empty(command="first"), empty(command="second")
    results.add(first, "bare_loop", measurement([10.0], 256))
    results.add(first, "env", measurement([5.0], 256))
    results.add_seed(first, seed_run(2, {"3000": 8.0}))
    first["left_out"] = ["train 256", "env 64"]
    first["failures"] = {"gymnasium": "no display"}
    results.add(second, "env", measurement([6.0], 256))
    results.add(second, "env", measurement([2.0], 64))
    results.add_seed(second, seed_run(1, {"3000": 4.0}))
    results.add_peer(second, "gymnasium", measurement([1.0], 64, versions={}), by_num_envs=False)
    merged = results.merge([first, second])
    assert list(merged["by_num_envs"]) == ["64", "256"]
    assert merged["by_num_envs"]["256"]["bare_loop_env_steps_per_second"] == 10.0
    assert merged["by_num_envs"]["256"]["env_steps_per_second"] == 6.0
    assert merged["over_seeds"]["seeds"] == [1, 2] and merged["over_seeds"]["seconds_to_3000"] == [4.0, 8.0]
    assert merged["left_out"] == ["train 256"] and merged["failures"] == {}
    assert [command["command"] for command in merged["commands"]] == ["first", "second"]
    assert first["by_num_envs"]["256"]["env_steps_per_second"] == 5.0, "what was merged stays as it was"


def test_seeds_with_another_number_of_environments_do_not_mix(empty):
    found = empty()
    results.add_seed(found, seed_run(1, {"3000": 4.0}, num_envs=64))
    results.add_seed(found, seed_run(2, {"3000": 8.0}, num_envs=128))
    assert found["over_seeds"]["seeds"] == [2] and found["over_seeds"]["num_envs"] == 128


def test_different_machines_and_tasks_do_not_merge(empty):
    ant, other = empty(), empty()
    results.add(ant, "env", measurement([1.0], 64))
    faster = measurement([2.0], 64)
    faster["machine"]["cores"] = 64
    results.add(other, "env", faster)
    with pytest.raises(MyriadError, match="different machines cannot be merged"):
        results.merge([ant, other])
    with pytest.raises(MyriadError, match="different tasks cannot be merged: Ant and Cartpole"):
        results.merge([ant, empty(task="Cartpole")])


def test_trainings_on_several_gpus_stand_by_gpus_and_num_envs(empty):
    first, second = empty(), empty()
    results.add_by_gpus(first, 1, measurement([10.0], 64))
    results.add_by_gpus(first, 2, measurement([18.0], 64))
    first["left_out"] = ["train 64 gpus=4", "train 256 gpus=4"]
    results.add_by_gpus(second, 2, measurement([19.0], 64))
    results.add_by_gpus(second, 4, measurement([37.0], 64))
    merged = results.merge([first, second])
    rates = {gpus: entries["64"]["train_frames_per_second"] for gpus, entries in merged["by_gpus"].items()}
    assert rates == {"1": 10.0, "2": 19.0, "4": 37.0}
    assert merged["left_out"] == ["train 256 gpus=4"]
    (table,) = report.tables([merged])
    assert [row[3] for row in table.rows] == ["1.00", "1.90", "3.70"]
