# SPDX-License-Identifier: Apache-2.0
import pytest

from omni.myriad.app import cli
from omni.myriad.errors import MyriadError
from omni.myriad.task.loader import load_task_class


def ended(main, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.run("train", main, ["sim_device=cpu"])
    return exit_info.value.code, capsys.readouterr()


def raising(error):
    def main(config):
        raise error

    return main


def test_a_good_end_is_code_0(capsys):
    code, captured = ended(lambda config: print(config["task_name"]), capsys)
    assert code == 0 and captured.out == "Cartpole\n"


def test_bad_input_is_one_line_whatever_the_message(capsys):
    code, captured = ended(raising(MyriadError("first\n  second")), capsys)
    assert code == 2 and captured.err == "Error: first second\n"


def test_ctrl_c_is_code_130(capsys):
    code, captured = ended(raising(KeyboardInterrupt("stopped after epoch 3")), capsys)
    assert code == 130 and "stopped after epoch 3" in captured.err


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run("train", raising(ZeroDivisionError()), ["sim_device=cpu"])


def test_an_error_in_a_file_beside_a_task_is_one_line_with_its_place(tmp_path, capsys):
    head = "from _legs import count\nfrom omni.myriad.task.rl_task import RLTask\n"
    (tmp_path / "hopper.py").write_text(f"{head}class Hopper(RLTask):\n    legs = staticmethod(count)\n")
    (tmp_path / "_legs.py").write_text("def count():\n    return 1 / 0\n")
    task = load_task_class("Hopper", [tmp_path])
    code, captured = ended(lambda config: task.legs(), capsys)
    assert code == 2
    assert captured.err == f"Error: {tmp_path}/_legs.py:2 in count: ZeroDivisionError: division by zero\n"


def test_help_is_printed_whatever_else_is_given(capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.run("train", raising(AssertionError()), ["task=Nope", "seed", "--help"])
    assert exit_info.value.code == 0 and capsys.readouterr().out.startswith("./myriad train task=Ant num_envs=4096")


def test_each_verb_takes_its_own_settings(capsys):
    for verb, taken, refused in (
        ("export", ["opset=16", "engine=physx"], ["seed=3", "engine.shards=2", "task.env.clipActions=2", "num_envs=3"]),
        ("deploy", ["video=False", "seed=3"], ["task=Ant", "num_envs=8", "train=AntPPO", "+task.env.goal=1"]),
        ("play", ["episodes=3", "engine.shards=2"], ["max_iterations=3", "wandb_activate=True", "opset=17"]),
        ("train", ["max_iterations=3", "+task.env.goal=1", "task.env.resetDist=2"], ["opset=17", "output=x.onnx"]),
        ("benchmark", ["torch_deterministic=True"], ["experiment=a", "checkpoint=b"]),
    ):
        with pytest.raises(SystemExit) as exit_info:
            cli.run(verb, print, taken)
        assert exit_info.value.code == 0, capsys.readouterr().err
        for override in refused:
            capsys.readouterr()
            with pytest.raises(SystemExit) as exit_info:
                cli.run(verb, print, [override])
            assert exit_info.value.code == 2
            why = {
                "export": "takes a policy's settings from its run",
                "deploy": "takes a policy's settings from its file",
            }
            said = f"Error: {override}: {verb} {why.get(verb, 'does not take it')}; it understands "
            assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(("error", "code"), [(MyriadError("bad"), "2"), (KeyboardInterrupt(), "130")])
def test_the_exit_code_is_also_written_for_the_launcher(error, code, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MYRIAD_EXIT_CODE", str(tmp_path / "code"))
    ended(raising(error), capsys)
    assert (tmp_path / "code").read_text() == code


@pytest.mark.parametrize(
    ("arguments", "cores", "workers"),
    [
        ([], 2, ["-n", "2", "--dist", "worksteal"]),
        (["-m", "nightly"], 16, ["-n", "4", "--dist", "worksteal"]),
        ([], 1, []),
        (["tests/app"], 2, []),
        (["tests/test_main.py::test_x", "-q"], 2, []),
    ],
)
def test_the_whole_suite_is_shared_among_cores_and_a_part_is_not(monkeypatch, tmp_path, arguments, cores, workers):
    became = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.os, "execv", lambda python, command: became.append(command[1:]))
    monkeypatch.setattr(cli.os, "sched_getaffinity", lambda pid: set(range(cores)))
    monkeypatch.setattr(cli, "find_spec", lambda name: name == "xdist")
    cli.test(arguments)
    assert became == [["-m", "pytest", *workers, *arguments]]
