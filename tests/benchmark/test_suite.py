# SPDX-License-Identifier: Apache-2.0
"""The whole command as people run it, with real processes, and what it does about those that fail or take too long."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omni.myriad.benchmark import suite
from omni.myriad.benchmark.options import Options, parse

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(tmp_path):
    """Run the verb in a scratch folder."""

    def run(*arguments):
        command = [sys.executable, "-m", "omni.myriad", "benchmark", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=200)

    return run


def test_results_tables_and_plots_are_left_behind_and_added_to(benchmark, tmp_path):
    common = ("task=Cartpole", "sim_device=cpu", "num_envs=16", "repeats=1", "seconds=0.02", "output=found")
    done = benchmark(*common, "measure=env,startup")
    assert done.returncode == 0, done.stdout + done.stderr
    file = tmp_path / "found" / "cartpole-cpu.json"
    found = json.loads(file.read_text())
    entry = found["by_num_envs"]["16"]
    assert entry["env_steps_per_second"] == entry["env"]["median"] > 0
    phases = entry["startup"]["phases"]
    assert list(phases) == ["imports and configuration", "engine", "scene and clones", "learner", "first step"]
    assert sum(phases.values()) == pytest.approx(entry["startup_seconds"], abs=0.01)
    assert found["machine"]["cores"] == len(os.sched_getaffinity(0)) and found["versions"]["torch"]
    assert found["commands"][0]["command"].startswith("./myriad benchmark task=Cartpole sim_device=cpu num_envs=16")
    assert file.with_name("cartpole-cpu-throughput.png").stat().st_size > 1000
    assert "How fast is it" in done.stdout and str(Path("found") / "cartpole-cpu.json") in done.stdout

    done = benchmark(*common, "measure=bare_loop,peers", "peers=mjlab")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(file.read_text())
    assert set(found["by_num_envs"]["16"]) >= {"env", "startup", "bare_loop", "bare_loop_env_steps_per_second"}
    assert found["absent"] == {"mjlab": "stands beside Ant alone"}


def test_a_failing_measurement_is_said_and_does_not_stop_the_others(benchmark, tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "broken.py").write_text(
        "from omni.myriad import RLTask\n"
        "class Broken(RLTask):\n"
        "    num_observations = 1\n"
        "    num_actions = 1\n"
        "    def set_up_scene(self, scene):\n"
        "        raise ValueError('no robot')\n"
    )
    done = benchmark("task=Broken", "task.task_path=[tasks]", "sim_device=cpu", "num_envs=4", "measure=env", "output=o")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Error: env 4 failed: " in done.stderr and "no robot" in done.stderr
    (file,) = (tmp_path / "o").glob("*.json")
    assert "no robot" in json.loads(file.read_text())["failures"]["env 4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("task=Ant", "num_envs=64,x"), "Error: num_envs=x is invalid"),
        (("task=Unicycle",), "Error: Unknown task 'Unicycle'"),
        (("task=Ant", "num_env=3"), "Error: Unknown key 'num_env'"),
    ],
)
def test_bad_input_is_one_line_before_anything_runs(myriad, tmp_path, arguments, message):
    done = myriad("benchmark", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(message)
    assert not (tmp_path / "runs").exists()


def test_what_does_not_fit_is_left_out_and_listed(tmp_path, capsys):
    config = {"task": {"name": "Ant"}}
    options = parse({"minutes": "0.01", "measure": "bare_loop,startup", "num_envs": "8,16"})
    found = suite.measure(config, options, ["task=Ant"], "command", tmp_path / "logs")
    assert found["left_out"] == ["bare_loop 16", "bare_loop 8", "startup 16", "startup 8"]
    assert found["by_num_envs"] == {}
    assert "bare_loop 8: left out" in capsys.readouterr().out


def test_jobs_compare_back_to_back_and_train_to_rewards_last():
    options = Options(
        num_envs=(8, 16),
        measure=("env", "train", "peers", "reward"),
        peers=("rl_games", "gymnasium", "mjlab"),
        seeds=(3,),
    )
    titles = [job.title for job in suite.jobs(options, ["task=Ant"], {"mjlab"})]
    assert titles == [
        "env 8",
        "train 8",
        "env 16",
        "train 16",
        "rl_games 8",
        "rl_games 16",
        "gymnasium",
        "reward seed=3",
    ]
    last = list(suite.jobs(options, ["task=Ant"], {"mjlab"}))[-1]
    assert last.settings == ("task=Ant", "num_envs=8", "seed=3")
    (alone,) = suite.jobs(Options(measure=("env",)), ["task=Ant"], set())
    assert alone.settings == ("task=Ant",), "the task's own number of environments, and what goes with it"
