# SPDX-License-Identifier: Apache-2.0
"""The launcher in a scratch checkout, with a Python that installs nothing and says what it was asked to run."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omni.myriad.__main__ import VERBS
from tests import stub_backend

ROOT = Path(__file__).resolve().parents[1]

FAKE_PYTHON = r"""#!/usr/bin/env bash
case "$*" in
  *version_info*) echo "${FAKE_VERSION:-3.11}"; [[ -z ${FAKE_TOO_OLD:-} ]]; exit ;;
  *ensurepip*) exit "${FAKE_NO_VENV:-0}" ;;
  *CDLL*) exit 1 ;;
  *'import check'*) exit "${FAKE_LACKS:-0}" ;;
  *'find_spec("torch")'*) exit "${FAKE_NO_TORCH:-0}" ;;
  "-V") echo "Python 3.11.7"; exit ;;
  "-m venv"*) rm -rf "${*: -1}" && mkdir -p "${*: -1}/bin" && cp "$0" "${*: -1}/bin/python"; exit ;;
  "-m pip --version") exit ;;
  "-m pip"*)
    echo "$*" >>"$CALLS"
    echo "Collecting patience"
    sleep "${FAKE_PIP_SECONDS:-0}"
    [[ -z ${FAKE_PIP_ERROR:-} ]] || { echo "ERROR: $FAKE_PIP_ERROR"; exit 1; }
    exit ;;
esac
echo "pid $$ in $PWD with $PYTHONPATH"
printf 'ran'
printf ' <%s>' "$@"
echo
[[ -z ${FAKE_SLEEP:-} ]] || exec sleep "$FAKE_SLEEP"
exit "${FAKE_EXIT:-0}"
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def heed_interrupts() -> None:
    """Let Ctrl-C through, as on a terminal: whoever runs the tests in the background has it ignored, for all below."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Checkout:
    """A scratch checkout and a PATH on which python3.11, ldconfig and apt-get are fakes."""

    def __init__(self, folder: Path):
        self.root = folder / "a checkout"  # with a space: quoting is part of the job
        self.root.mkdir()
        for name in ("myriad", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.root / name)
        shutil.copytree(ROOT / "omni", self.root / "omni", ignore=shutil.ignore_patterns("__pycache__"))
        bin_folder = folder / "bin"
        self.python = script(bin_folder / "python3.11", FAKE_PYTHON)
        script(bin_folder / "python3", f'#!/bin/sh\nexec {sys.executable} "$@"\n')  # a bare system's
        script(bin_folder / "ldconfig", '#!/bin/sh\necho "libGL.so.1 => /lib/libGL.so.1"\n')
        script(bin_folder / "apt-get", '#!/bin/sh\necho "apt-get $*" >>"$CALLS"\n')
        self.calls_file = folder / "calls"
        self.environment = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(folder), "CALLS": str(self.calls_file)}

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            [self.root / "myriad", *arguments],
            start_new_session=True,  # a process group of its own, as on a terminal
            preexec_fn=heed_interrupts,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def source(self, code: str, **variables: str) -> subprocess.CompletedProcess:
        """Run bash code with the launcher's functions at hand."""
        command = ["bash", "-c", f"source '{self.root}/myriad'; {code}"]
        return subprocess.run(
            command, env={**self.environment, **variables}, capture_output=True, text=True, timeout=60
        )

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def extras(call: str) -> str:
    """Return the extras that a pip command installs."""
    found = re.search(r"\[([a-z,]*)\]$", call)
    return found[1] if found else ""


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",), ("-h",)])
def test_help_names_every_verb_and_sets_up_nothing(checkout, arguments):
    done = checkout.run(*arguments)
    assert done.returncode == 0
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", done.stdout, re.MULTILINE)
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize(
    ("typed", "meant"), [("trian", "train"), ("pla", "play"), ("Test", "test"), ("doc", "doctor"), ("hlep", "help")]
)
def test_unknown_verb_suggests_the_nearest(checkout, typed, meant):
    done = checkout.run(typed)
    assert done.returncode == 2
    assert done.stderr.startswith(f"myriad: no verb '{typed}'. Did you mean './myriad {meant}'?")
    assert done.stderr.count("\n") == 1


def test_unknown_verb_unlike_any_lists_them(checkout):
    done = checkout.run("reticulate-splines")
    assert done.returncode == 2
    assert (
        done.stderr == "myriad: no verb 'reticulate-splines'. "
        "The verbs are: train play export deploy benchmark publish runs view report compare sweep import new robots "
        "port soak test "
        "gui verify-isaacsim container doctor python help\n"
    )


def test_without_any_python_unknown_verbs_and_help_list_the_verbs(checkout):
    done = checkout.source("suitable() { false; }; main hlep")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"myriad: the verbs are: {' '.join(VERBS)}\n"


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.run])
def test_verbs_run_python_with_their_arguments(checkout, verb):
    done = checkout.run(verb, "task=Ant", "name=two words", "*")
    assert done.returncode == 0, done.stderr
    assert f"ran <-m> <omni.myriad> <{verb}> <task=Ant> <name=two words> <*>" in done.stdout
    assert f"with {checkout.root}" in done.stdout


def test_python_is_the_environments_own(checkout):
    assert "ran <-c> <print(1)>" in checkout.run("python", "-c", "print(1)").stdout


def test_exit_code_passes_through(checkout):
    assert checkout.run("train", FAKE_EXIT="7").returncode == 7


def test_launcher_becomes_python_so_that_signals_reach_it(checkout):
    checkout.run("train")
    process = checkout.start("train", FAKE_SLEEP="30")
    assert process.stdout.readline().startswith(f"pid {process.pid} ")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT


def test_verbs_run_where_they_are_called(checkout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f"in {tmp_path} " in checkout.run("train").stdout


def test_first_use_installs_and_later_uses_do_not(checkout):
    first = checkout.run("train")
    assert "Setting up .venv with Python 3.11.7 [deploy,dev,export,physx] (once, about 2 minutes" in first.stderr
    (call,) = checkout.calls()
    assert call.endswith(f"-c {checkout.root}/constraints.txt -e {checkout.root}[deploy,dev,export,physx]")
    assert "Collecting patience" in (checkout.root / ".venv/install.log").read_text()
    for verb in set(VERBS) - {"gui", "container", "help", "sweep", "test"}:
        later = checkout.run(verb)
        assert (later.returncode, later.stderr) == (0, "")
    assert len(checkout.calls()) == 1


def test_a_verb_that_needs_more_adds_it_at_its_first_use(checkout):
    checkout.run("train")
    assert "[deploy,dev,export,physx,sweep] (adding [physx,export,deploy,dev,sweep]" in checkout.run("sweep").stderr
    for verb in ("sweep", "test", "train"):
        assert checkout.run(verb).stderr == ""
    assert len(checkout.calls()) == 2


def test_other_extras_are_added_once_and_kept(checkout):
    checkout.run("train")
    for _ in range(2):
        checkout.source("EXTRAS[train]=wandb; choose_python train")
    (checkout.root / "constraints.txt").write_text("")
    checkout.run("train")
    every = "deploy,dev,export,physx"
    assert [extras(call) for call in checkout.calls()] == [every, f"{every},wandb", f"{every},wandb"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_noticed(checkout, name):
    checkout.run("play")
    with (checkout.root / name).open("a") as file:
        file.write("# changed\n")
    assert "the requirements changed" in checkout.run("train").stderr
    assert checkout.run("train").stderr == ""
    assert [extras(call) for call in checkout.calls()] == ["deploy,dev,export,physx"] * 2


def test_moved_checkout_is_installed_again(checkout):
    checkout.run("train")
    checkout.root = checkout.root.rename(checkout.root.parent / "elsewhere")
    assert checkout.run("train").returncode == 0
    assert checkout.calls()[1].endswith(f"{checkout.root}[deploy,dev,export,physx]")


def test_failed_installation_shows_why_and_is_tried_again(checkout):
    done = checkout.run("train", FAKE_PIP_ERROR="No space left on device")
    assert done.returncode == 1
    assert "ERROR: No space left on device" in done.stderr
    assert "myriad: pip could not set up .venv" in done.stderr
    assert "ran" not in done.stdout
    assert checkout.run("train").returncode == 0
    assert len(checkout.calls()) == 2


def test_failed_change_leaves_what_was_there(checkout):
    checkout.run("train")
    before = (checkout.root / "constraints.txt").read_text()
    (checkout.root / "constraints.txt").write_text("nonsense")
    assert checkout.run("train", FAKE_PIP_ERROR="No matching distribution").returncode == 1
    (checkout.root / "constraints.txt").write_text(before)
    assert checkout.run("train").stderr == ""
    assert len(checkout.calls()) == 2


# Needs no network: stub_backend.py builds it.
PROJECT = """
[build-system]
requires = []
build-backend = "stub_backend"
backend-path = ["."]

[project]
name = "myriad-rl"
version = "1.0"

[project.optional-dependencies]
physx = ["robots"]
"""


@pytest.fixture
def real_checkout(checkout, tmp_path):
    """Return a checkout with a real Python and a real pip, which find their one requirement in a folder."""
    (checkout.root / "pyproject.toml").write_text(PROJECT)
    (checkout.root / "constraints.txt").write_text("")
    shutil.copy(stub_backend.__file__, checkout.root)
    (tmp_path / "wheels").mkdir()
    files = {"robots/__init__.py": "", **{f"robots/part{index}.py": "value = 1\n" * 50 for index in range(1000)}}
    stub_backend.wheel(tmp_path / "wheels", "robots", files)
    checkout.environment |= {
        "MYRIAD_PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": (tmp_path / "wheels").as_uri(),
    }
    return checkout


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.002)


def test_interrupted_set_up_is_made_again_by_the_next_use(real_checkout):
    checkout, venv, hold = real_checkout, real_checkout.root / ".venv", real_checkout.root / "hold"
    call = ("python", "-c", "import myriad_rl; print('works')")

    def interrupt(sent: signal.Signals, moment: Callable[[], bool]) -> None:
        process = checkout.start(*call)
        wait_until(moment)
        os.killpg(process.pid, sent)
        out, err = process.communicate(timeout=60)
        assert process.returncode == (130 if sent == signal.SIGINT else -sent), err
        assert "works" not in out

    def found(pattern: str) -> Callable[[], bool]:
        return lambda: any(venv.glob(pattern))

    def has_new_python() -> bool:
        python = venv / "bin/python"
        return python.is_symlink() and python.lstat().st_mtime > started

    for sent in (signal.SIGINT, signal.SIGKILL):
        started = time.time()
        interrupt(sent, has_new_python)  # a Python, and no pip
    interrupt(signal.SIGKILL, found("lib/python*/site-packages/pip/__init__.py"))  # ensurepip is at work
    hold.touch()
    interrupt(signal.SIGINT, lambda: "editable" in log(venv))  # pip has begun
    hold.unlink()
    interrupt(signal.SIGKILL, found("lib/python*/site-packages/robots/part1*.py"))  # pip is copying files
    done = checkout.run(*call)
    assert done.stdout == "works\n", done.stderr
    assert "again, because it was interrupted" in done.stderr
    assert checkout.run(*call).stderr == ""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_change_is_made_again_even_if_it_is_taken_back(checkout, sent):
    checkout.run("train")
    (checkout.root / ".venv/half").touch()
    before = (checkout.root / "constraints.txt").read_text()
    (checkout.root / "constraints.txt").write_text("# other requirements")
    process = checkout.start("train", FAKE_PIP_SECONDS="60")
    wait_until(lambda: len(checkout.calls()) == 2)
    os.killpg(process.pid, sent)
    process.communicate(timeout=10)
    (checkout.root / "constraints.txt").write_text(before)
    done = checkout.run("train")
    assert "again, because it was interrupted" in done.stderr and "ran <" in done.stdout
    assert not (checkout.root / ".venv/half").exists()


def test_pip_that_outlives_a_killed_launcher_is_waited_for(checkout):
    killed = checkout.start("train", FAKE_PIP_SECONDS="1")
    wait_until(checkout.calls)
    killed.kill()
    done = checkout.run("train")
    assert done.stderr.startswith("Waiting for another ./myriad")
    assert "again, because it was interrupted" in done.stderr and "ran <" in done.stdout
    killed.communicate(timeout=10)


def log(venv: Path) -> str:
    """Return what pip has said in this environment so far."""
    file = venv / "install.log"
    return file.read_text() if file.exists() else ""


def test_environment_without_pip_is_made_again(checkout):
    checkout.run("train")
    script(checkout.root / ".venv/bin/python", '#!/bin/sh\necho "No module named pip" >&2; exit 1\n')
    (checkout.root / ".venv/myriad.stamp").unlink()
    assert "ran <" in checkout.run("train").stdout


def test_environment_of_somebodys_own_making_is_kept(checkout):
    script(checkout.root / ".venv/bin/python", FAKE_PYTHON)
    (checkout.root / ".venv/notes").touch()
    assert "ran <" in checkout.run("train").stdout
    assert (checkout.root / ".venv/notes").exists()


def test_launchers_started_together_install_once(checkout):
    processes = [checkout.start("train", FAKE_PIP_SECONDS="2") for _ in range(4)]
    outcomes = [process.communicate(timeout=60) for process in processes]
    assert all("ran <" in out for out, _ in outcomes)
    assert len(checkout.calls()) == 1
    assert sum("Setting up .venv with" in err for _, err in outcomes) == 1
    assert sum("Waiting for another ./myriad" in err for _, err in outcomes) == 3


def test_active_virtual_environment_is_used_as_it_is(checkout, tmp_path):
    python = script(tmp_path / "mine/bin/python", FAKE_PYTHON)
    done = checkout.run("train", VIRTUAL_ENV=str(python.parents[1]))
    assert "ran <" in done.stdout
    assert checkout.calls() == []
    assert not (checkout.root / ".venv").exists()


def test_own_virtual_environment_when_active_is_kept_in_step(checkout):
    checkout.run("train")
    (checkout.root / "constraints.txt").write_text("")
    checkout.run("train", VIRTUAL_ENV=str(checkout.root / ".venv"))
    assert len(checkout.calls()) == 2


def test_conda_environment_is_used_but_not_its_base(checkout, tmp_path):
    prefix = script(tmp_path / "conda/bin/python", FAKE_PYTHON).parents[1]
    checkout.run("train", CONDA_PREFIX=str(prefix), CONDA_DEFAULT_ENV="robots")
    assert checkout.calls() == []
    checkout.run("train", CONDA_PREFIX=str(prefix), CONDA_DEFAULT_ENV="base")
    assert len(checkout.calls()) == 1


def test_isaac_sim_uses_its_own_python(checkout, tmp_path):
    python = script(tmp_path / "isaac/python.sh", FAKE_PYTHON)
    isaac = str(python.parent)
    assert "ran <" in checkout.run("train", ISAACSIM_PATH=isaac).stdout
    assert checkout.calls() == []


def test_isaac_sim_in_the_wrong_folder(checkout, tmp_path):
    done = checkout.run("train", ISAACSIM_PATH=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "has no python.sh" in done.stderr


@pytest.mark.parametrize("code", [0, 2, 130])
def test_exit_code_passes_isaac_sims_python_sh(checkout, tmp_path, code):
    # As Isaac Sim's does, it makes a 1 of every failure.
    text = f'echo {code} >"$MYRIAD_EXIT_CODE"\n((!{code})) || exit 1\n'
    python = script(tmp_path / "isaac/python.sh", "#!/usr/bin/env bash\n" + text)
    (tmp_path / "isaac/exts/omni.isaac.ml_archive/pip_prebundle/torch").mkdir(parents=True)
    assert checkout.run("train", ISAACSIM_PATH=str(python.parent)).returncode == code


@pytest.mark.parametrize("place", ["exts/omni.isaac.ml_archive", "extsDeprecated/omni.isaac.ml_archive-3.3.0+lx64"])
def test_isaac_sims_own_torch_is_found(checkout, tmp_path, place):
    script(tmp_path / "isaac/python.sh", FAKE_PYTHON)
    archive = tmp_path / "isaac" / place / "pip_prebundle"
    (archive / "torch").mkdir(parents=True)
    # Neither pip nor a verb can be without it: each would install another.
    for verb in ("train", "python"):
        done = checkout.run(verb, ISAACSIM_PATH=str(tmp_path / "isaac"), FAKE_NO_TORCH="1", PYTHONPATH="/mine")
        assert f"with {checkout.root}:/mine:{archive}\n" in done.stdout, done.stderr


def test_isaac_sim_without_torch_gets_no_other(checkout, tmp_path):
    isaac = str(script(tmp_path / "isaac/python.sh", FAKE_PYTHON).parent)
    done = checkout.run("train", ISAACSIM_PATH=isaac, FAKE_NO_TORCH="1")
    assert done.returncode == 1 and "Isaac Sim's own torch was not found" in done.stderr and "ran <" not in done.stdout
    for verb in ("python", "doctor"):  # with which it can be repaired
        assert "ran <" in checkout.run(verb, ISAACSIM_PATH=isaac, FAKE_NO_TORCH="1").stdout


def test_gui_needs_isaac_sim(checkout, tmp_path):
    mine = script(tmp_path / "mine/bin/python", FAKE_PYTHON).parents[1]
    for variables in ({}, {"VIRTUAL_ENV": str(mine)}):
        done = checkout.run("gui", **variables)
        assert (done.returncode, done.stderr.count("\n")) == (1, 2)
        assert "set ISAACSIM_PATH" in done.stderr and "pip installed isaacsim" in done.stderr
    done = checkout.run("gui", ISAACSIM_PATH=str(tmp_path))
    assert done.returncode == 1 and "has no isaac-sim.sh" in done.stderr


def extension_of(said: str) -> Path:
    """Return the folder that Isaac Sim was started with as an extension's."""
    found = re.search(r"ran <--ext-path> <(.*)> <--enable> <omni.myriad> <--/some/setting=1>", said)
    assert found, said
    return Path(found[1])


def test_gui_starts_isaac_sim_with_an_extension_of_the_right_name(checkout, tmp_path):
    isaac = tmp_path / "isaac"
    script(isaac / "python.sh", FAKE_PYTHON)
    script(isaac / "isaac-sim.sh", FAKE_PYTHON)
    for name in ("extension.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, checkout.root)
    shutil.copytree(ROOT / "data", checkout.root / "data")
    (checkout.root / "docs").mkdir()
    folder = checkout.root
    for _ in range(2):  # the folder is there the second time
        folder = extension_of(checkout.run("gui", "--/some/setting=1", ISAACSIM_PATH=str(isaac)).stdout)
        # Kit sees the name even if it resolves every link, and finds what extension.toml names.
        toml = folder / "extension.toml"
        assert folder.resolve().name == "omni.myriad" and toml.resolve().parent == folder.resolve()
        named = re.findall(r'^(?:readme|changelog|icon) = "(.*)"', toml.read_text(), re.MULTILINE)
        assert len(named) == 3 and all((folder / file).is_file() for file in named)
        # Imported from there, Myriad works on the checkout: its tasks, its configuration, its runs.
        code = "from omni.myriad import places; print(places.ROOT)"
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
        assert done.stdout.strip() == str(checkout.root), done.stderr
    (checkout.root / "extension.toml").write_text("[package]\n")
    assert extension_of(checkout.run("gui", "--/some/setting=1", ISAACSIM_PATH=str(isaac)).stdout) == folder
    assert (folder / "extension.toml").read_text() == "[package]\n"
    checkout.root = checkout.root.rename(checkout.root.parent / "omni.myriad")
    assert extension_of(checkout.run("gui", "--/some/setting=1", ISAACSIM_PATH=str(isaac)).stdout) == checkout.root


def test_gui_starts_the_isaac_sim_that_pip_installed(checkout, tmp_path):
    shutil.copy(ROOT / "extension.toml", checkout.root)
    script(tmp_path / "mine/bin/python", FAKE_PYTHON)
    mine = script(tmp_path / "mine/bin/isaacsim", FAKE_PYTHON).parents[1]
    done = checkout.run("gui", "--/some/setting=1", VIRTUAL_ENV=str(mine))
    assert extension_of(done.stdout).name == "omni.myriad"


def test_gui_needs_its_packages_in_isaac_sim(checkout, tmp_path):
    isaac = tmp_path / "isaac"
    script(isaac / "python.sh", FAKE_PYTHON)
    script(isaac / "isaac-sim.sh", FAKE_PYTHON)
    done = checkout.run("gui", ISAACSIM_PATH=str(isaac), FAKE_LACKS="1")
    assert done.returncode == 1 and "ran <" not in done.stdout


FAKE_DOCKER = """#!/usr/bin/env bash
[[ $* != "compose version" ]] || exit "${FAKE_NO_COMPOSE:-0}"
echo "docker $*" | sed "s|-f [^ ]*a checkout/||g"
exit "${FAKE_EXIT:-0}"
"""


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        ("build", ["build standalone"]),
        ("build isaacsim --pull", ["build --pull isaacsim"]),
        ("run train task=Ant", ["run --rm -T standalone train task=Ant"]),
        ("run isaacsim play task=Ant", ["run --rm -T isaacsim play task=Ant"]),
        ("test -k ant", ["build test", "run --rm -T test test -k ant"]),
        ("test isaacsim", ["run --rm -T isaacsim test"]),
    ],
)
def test_container_verbs(checkout, tmp_path, arguments, called):
    script(tmp_path / "bin/docker", FAKE_DOCKER)
    script(tmp_path / "bin/nvidia-smi", "#!/bin/sh\nexit 9\n")
    done = checkout.run("container", *arguments.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"docker compose docker/compose.yaml {call}" for call in called]


def test_container_uses_the_gpu_and_passes_the_exit_code(checkout, tmp_path):
    script(tmp_path / "bin/docker", FAKE_DOCKER)
    script(tmp_path / "bin/nvidia-smi", "#!/bin/sh\n")
    done = checkout.run("container", "run", "train", FAKE_EXIT="130")
    assert done.stdout == "docker compose docker/compose.yaml docker/gpu.yaml run --rm -T standalone train\n"
    assert done.returncode == 130


def test_container_without_docker_or_sense(checkout, tmp_path):
    script(tmp_path / "bin/docker", FAKE_DOCKER)
    done = checkout.run("container", "build", FAKE_NO_COMPOSE="1")
    assert done.returncode == 1 and "compose plugin" in done.stderr
    done = checkout.run("container", "fly")
    assert done.returncode == 2 and "build|run|test" in done.stderr


def test_missing_libgl_says_what_to_install(checkout):
    done = checkout.source("has_libgl() { false; }; can_apt_install() { false; }; ensure_libgl python; echo went on")
    assert done.returncode == 1
    assert "sudo apt-get install -y libgl1\n" in done.stderr
    assert "sudo dnf install -y mesa-libGL\n" in done.stderr
    assert done.stdout == ""


def test_missing_libgl_is_installed_where_that_is_possible(checkout):
    done = checkout.source("has_libgl() { false; }; can_apt_install() { true; }; ensure_libgl python; echo went on")
    assert done.stdout == "went on\n"
    assert checkout.calls() == ["apt-get install -y -q --no-install-recommends libgl1"]


def test_libgl_is_looked_for_by_ldconfig_and_then_by_loading_it(checkout, tmp_path):
    look = f"has_libgl '{checkout.python}'; echo $?"
    assert checkout.source(f"set +e; {look}").stdout == "0\n"
    script(tmp_path / "bin/ldconfig", "#!/bin/sh\n")
    assert checkout.source(f"set +e; {look}").stdout == "1\n"
    script(tmp_path / "bin/python3.11", "#!/bin/sh\nexit 0\n")
    assert checkout.source(f"set +e; {look}").stdout == "0\n"


def test_doctor_changes_nothing_on_the_system(checkout, tmp_path):
    script(tmp_path / "bin/ldconfig", "#!/bin/sh\n")
    assert "ran <" in checkout.run("doctor").stdout
    assert not [call for call in checkout.calls() if call.startswith("apt-get")]


def test_unsuitable_python_is_passed_over(checkout, tmp_path):
    script(tmp_path / "bin/python3.12", FAKE_PYTHON)
    script(tmp_path / "bin/python3.11", "#!/bin/sh\nexit 127\n")  # such as a shim without a Python behind it
    assert checkout.source("find_python").stdout == "python3.12"


def test_wanted_python_must_suit(checkout):
    assert checkout.source("find_python", MYRIAD_PYTHON=str(checkout.python)).stdout == str(checkout.python)
    done = checkout.run("train", MYRIAD_PYTHON="python2")
    assert done.returncode == 1
    assert done.stderr == "myriad: MYRIAD_PYTHON=python2 does not run, or is not Python 3.10 to 3.13\n"


def test_no_python_at_all_says_what_to_install(checkout):
    done = checkout.source("suitable() { false; }; can_apt_install() { false; }; install physx; echo went on")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("myriad: No Python 3.10 to 3.13 was found.")


def test_python_without_venv_gets_its_package(checkout):
    done = checkout.source(
        "suitable() { [[ $1 == python3.11 ]] && echo 3.11; }; can_apt_install() { false; }; find_python",
        FAKE_NO_VENV="1",
    )
    assert done.returncode == 1
    assert "sudo apt-get install -y python3.11-venv\n" in done.stderr


def test_launcher_is_executable():
    assert os.access(ROOT / "myriad", os.X_OK)
