# SPDX-License-Identifier: Apache-2.0
"""The table of verbs; what the verbs do is tested with their rooms."""

import importlib.util
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from omni.myriad import __main__ as command_line
from omni.myriad.__main__ import VERBS, Verb

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def ended(capsys, monkeypatch, tmp_path):
    """Run the command line and return its exit code, what it printed, and the exit code left for the launcher."""
    monkeypatch.setenv("MYRIAD_EXIT_CODE", str(tmp_path / "code"))

    def run(*arguments):
        with pytest.raises(SystemExit) as ending:
            command_line.main(arguments)
        return ending.value.code, capsys.readouterr(), (tmp_path / "code").read_text()

    return run


def test_help_has_a_line_for_every_verb(capsys):
    command_line.main(["help"])
    lines = capsys.readouterr().out.splitlines()
    for name, verb in VERBS.items():
        assert f"  {name:15} {verb.help.replace('{myriad}', './myriad')}" in lines


def test_help_of_an_installed_wheel_leaves_out_what_needs_the_repository(capsys, monkeypatch):
    monkeypatch.setattr(command_line, "IN_WHEEL", True)
    monkeypatch.setattr(command_line, "COMMAND", "myriad")
    command_line.main([])
    text = capsys.readouterr().out
    assert "  myriad train task=Cartpole " in text and "  train           train a task: myriad train" in text
    assert "./myriad" not in text and ".venv" not in text and "\n  container" not in text


@pytest.mark.parametrize(
    ("typed", "meant"), [("trian", "train"), ("pla", "play"), ("Test", "test"), ("doc", "doctor"), ("hlep", "help")]
)
def test_an_unknown_verb_gets_the_nearest(ended, typed, meant):
    code, captured, left = ended(typed, "task=Ant")
    assert (code, left, captured.out) == (2, "2", "")
    assert captured.err.startswith(f"myriad: no verb '{typed}'. Did you mean './myriad {meant}'?")
    assert captured.err.count("\n") == 1


def test_an_unknown_verb_unlike_any_lists_them(ended):
    assert ended("bogus")[1].err == f"myriad: no verb 'bogus'. The verbs are: {' '.join(VERBS)}\n"


def test_what_the_launcher_asks_before_gui_can_be_answered():
    code = re.search(r"-c '(from omni\.myriad\..*)'", (ROOT / "myriad").read_text())
    assert code is not None
    done = subprocess.run([sys.executable, "-c", code[1]], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_verb_of_the_launcher_is_not_ours(ended):
    code, captured, _ = ended("container", "build")
    assert code == 2 and captured.err == "myriad: 'container' is a verb of the launcher ./myriad.\n"


@pytest.mark.parametrize(("outcome", "code"), [(0, 0), (None, 0), (1, 1), (KeyboardInterrupt(), 130)])
def test_the_verbs_exit_code_is_the_process_exit_code(ended, monkeypatch, outcome, code):
    def run(arguments):
        assert arguments == ["a", "b c"]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setitem(VERBS, "doctor", Verb(run, ""))
    assert ended("doctor", "a", "b c")[::2] == (code, str(code))


def test_ctrl_c_while_it_is_imported_leaves_no_traceback():
    code = """
import os, signal, sys
class Impatient:
    def find_spec(self, name, *_):
        if name == "omni.myriad.app.doctor":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Impatient())
signal.signal(signal.SIGINT, signal.default_int_handler)
from omni.myriad.__main__ import main
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    ready = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nimport omni.myriad.__main__\n"
    ready += "print(signal.getsignal(signal.SIGINT))"
    done = subprocess.run([sys.executable, "-c", ready], cwd=ROOT, capture_output=True, text=True)
    assert "default_int_handler" in done.stdout


def test_missing_packages_are_said_before_a_verb_runs(ended, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rl_games" else real(name))
    code, captured, left = ended("train")
    assert (code, left) == (1, "1")
    assert captured.err.startswith(
        f"myriad: {sys.executable} lacks: rl_games. Install them:\n  '{sys.executable}' -m pip"
    )
    monkeypatch.setitem(VERBS, "doctor", Verb(lambda arguments: 0, ""))
    assert ended("doctor")[0] == 0  # the doctor says it in its own way


def test_newton_needs_nothing_of_physx(ended, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ovphysx" else real(name))
    monkeypatch.setitem(VERBS, "train", Verb(lambda arguments: 0, "", VERBS["train"].extras))
    assert ended("train", "engine=newton", "task=Ant")[0] == 0
    assert ended("train", "task=Ant")[0] == 1


def test_the_table_needs_no_packages():
    code = "import sys; sys.path.insert(0, sys.argv[1]); from omni.myriad.__main__ import main; main(['help'])"
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "First steps" in done.stdout, done.stderr


@pytest.mark.parametrize("script", sorted(ROOT.glob("*.py")), ids=lambda path: path.name)
def test_scripts_of_the_root_are_verbs(script):
    if script.name == "setup.py":
        return
    assert f'main(["{script.stem}", *sys.argv[1:]])' in script.read_text()
    assert script.stem in VERBS
