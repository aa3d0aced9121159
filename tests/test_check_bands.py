# SPDX-License-Identifier: Apache-2.0
"""The judge of GPU trainings, with a launcher that writes the scores it is told."""

import math
import stat
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests import check_bands

pytest.importorskip("tomllib", reason="check_bands needs Python 3.11")

LAUNCHER = """#!/usr/bin/env bash
for word in "$@"; do
  case $word in
    task=*) task=${word#task=} ;;
    experiment=*) folder=$RUNS/${word#experiment=} ;;
  esac
done
echo "$*" >>"$RUNS/calls"
[[ $task != "${CRASH:-}" ]] || exit 3
mkdir -p "$folder"
reward=REWARD_$task
echo "{\\"reward_mean\\": ${!reward}}" >"$folder/summary.json"
echo curve >"$folder/curve.png"
"""


@pytest.fixture
def bands(tmp_path, monkeypatch):
    """Run check_bands with the given scores; returns exit code and the JUnit report."""
    launcher = tmp_path / "a launcher"
    launcher.write_text(LAUNCHER)
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("RUNS", str(tmp_path))

    def run(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        output = tmp_path / "out"
        where = ["--launcher", f"'{launcher}'", "--runs", str(tmp_path), "--output", str(output)]
        code = check_bands.main([*arguments, *where])
        return code, ET.parse(output / "junit.xml").getroot(), output

    return run


@pytest.mark.parametrize(
    ("reward", "complaint"),
    [
        (400.0, ""),
        (500.0, ""),
        (399.9, "399.9 lies outside 400 to 500"),
        (501.0, "501.0 lies outside"),
        (math.nan, "nan lies outside"),
        (None, "no episode ended"),
    ],
)
def test_judge(reward, complaint):
    found = check_bands.judge(reward, [400, 500])
    assert complaint in found and bool(found) == bool(complaint)


def run_of(folder, rewards, ended=480.0):
    """Write what a run leaves behind that gained these rewards, 2 s apart."""
    rows = [f"{2 * k},{reward}" for k, reward in enumerate(rewards, start=1)]
    (folder / "progress.csv").write_text("\n".join(["seconds,reward_mean", *rows]))
    (folder / "summary.json").write_text(f'{{"reward_mean": {ended}}}')
    return folder


@pytest.mark.parametrize(
    ("seconds", "complaint"),
    [(6, ""), (5.9, "400 was reached after 6.0 s, not within 5.9 s"), (100, "")],
)
def test_a_goal_has_to_be_passed_in_time(tmp_path, seconds, complaint):
    run = run_of(tmp_path, ["", 300, 400, 480])
    band = {"reward": [400, 500], "goal": 400, "seconds": seconds}
    assert check_bands.judge_run(run, band) == (480.0, complaint)
    assert check_bands.judge_run(run, band | {"goal": 481})[1] == "a mean episode reward of 481 was never reached"
    assert "lies outside" in check_bands.judge_run(run, band | {"reward": [1, 2]})[1]


def test_a_finished_run_is_held_to_the_band_of_its_task(tmp_path, capsys):
    run = run_of(tmp_path, [300, 480])
    assert check_bands.main(["full", "Cartpole", "--run", str(run)]) == 0
    assert "as it should be" in capsys.readouterr().out
    assert check_bands.main(["full", "Ant", "--run", str(run)]) == 1
    with pytest.raises(SystemExit):
        check_bands.main(["full", "Ant", "--run", str(tmp_path / "none")])


def test_scores_inside_their_bands_pass(bands, tmp_path):
    code, report, output = bands("brief", REWARD_Cartpole="480", REWARD_Ant="4000")
    assert code == 0
    assert (report.get("tests"), report.get("failures")) == ("2", "0")
    assert (output / "Ant-curve.png").is_file() and (output / "Cartpole-summary.json").is_file()
    first = (tmp_path / "calls").read_text().splitlines()[0]
    assert first.startswith("train task=Cartpole seed=42 experiment=bands_Cartpole_")
    assert first.endswith(" max_iterations=100")


def test_a_score_outside_fails_and_is_named(bands):
    code, report, _ = bands("brief", REWARD_Cartpole="480", REWARD_Ant="12")
    assert code == 1
    (failure,) = report.iter("failure")
    assert "12.0 lies outside" in failure.get("message", "")


def test_a_crash_fails_and_the_others_are_still_trained(bands):
    code, report, _ = bands("brief", CRASH="Cartpole", REWARD_Ant="4000")
    assert code == 1
    assert [case.find("failure") is not None for case in report.iter("testcase")] == [True, False]
    assert "exit code 3" in next(report.iter("failure")).get("message", "")


def test_unknown_tasks_are_refused(bands, capsys):
    with pytest.raises(SystemExit) as left:
        bands("brief", "Antt")
    assert left.value.code == 2
    assert "no band for Antt" in capsys.readouterr().err


def test_every_task_has_bands_that_can_be():
    import tomllib

    bands = tomllib.loads((check_bands.ROOT / "tests/bands.toml").read_text())
    trained = {path.stem for path in (check_bands.ROOT / "cfg/task").glob("*.yaml")} - {"Default"}
    for suite in bands.values():
        assert set(suite) <= trained
        for band in suite.values():
            lowest, highest = band["reward"]
            assert 0 < lowest < highest
            assert ("goal" in band) == ("seconds" in band) and band.get("goal", lowest) < highest
    assert Path(check_bands.ROOT / ".github/workflows/gpu.yml").read_text().count("check_bands.py") >= 1
