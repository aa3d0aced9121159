# SPDX-License-Identifier: Apache-2.0
import pytest

from omni.myriad.app import cli
from omni.myriad.errors import MyriadError


def ended(main, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.run(main, "how to use it", ["sim_device=cpu"])
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
        cli.run(raising(ZeroDivisionError()), "", ["sim_device=cpu"])


def test_help_is_printed_before_anything_is_loaded(capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.run(raising(AssertionError()), "how to use it", ["task=Nope", "--help"])
    assert exit_info.value.code == 0 and capsys.readouterr().out == "how to use it\n"


@pytest.mark.parametrize(("error", "code"), [(MyriadError("bad"), "2"), (KeyboardInterrupt(), "130")])
def test_the_exit_code_is_also_written_for_the_launcher(error, code, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MYRIAD_EXIT_CODE", str(tmp_path / "code"))
    ended(raising(error), capsys)
    assert (tmp_path / "code").read_text() == code
