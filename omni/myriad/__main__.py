# SPDX-License-Identifier: Apache-2.0
"""Myriad's command line: `python -m omni.myriad VERB`, which `./myriad` and the command of an installed wheel call.

Imports nothing but the standard library until a verb is called: any Python can show the help.
"""

from __future__ import annotations

import signal

if _starting := signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while nobody is there to answer it, Ctrl-C leaves no traceback

import difflib
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from omni.myriad.app import cli, doctor, importing, new, reporting, requirements, soak
from omni.myriad.places import COMMAND, FILMS, IN_WHEEL, data_folder

if _starting:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Verb:
    """A word that can follow `myriad`.

    Attributes:
        run: Called with the arguments behind the verb, returns an exit code or ends the process; None where the
            launcher `./myriad` does it without us.
        help: One line.
        extras: What it needs of pyproject.toml's extras; None where it does not even need Myriad's own requirements.
    """

    run: Callable[[Sequence[str]], int | None] | None
    help: str
    extras: tuple[str, ...] | None = None


# To add a verb, add it here. The launcher finds the names in these lines: each begins with one.
VERBS = {
    "train": Verb(partial(cli.run_task, "train"), "train a task: {myriad} train task=Cartpole", ("physx",)),
    "play": Verb(partial(cli.run_task, "play"), "run a trained policy: {myriad} play task=Cartpole", ("physx",)),
    "export": Verb(
        partial(cli.run_task, "export"),
        "write a trained policy as one ONNX file: {myriad} export task=Cartpole",
        ("physx", "export"),
    ),
    "deploy": Verb(
        cli.deploy,
        "run a policy outside its trainer, and film it: {myriad} deploy policy.onnx",
        ("physx", "export", "deploy"),
    ),
    "benchmark": Verb(cli.benchmark, "measure speed: {myriad} benchmark task=Ant num_envs=4096,16384", ("physx",)),
    "publish": Verb(
        cli.publish,
        "train, play, export and judge the policies that ship: {myriad} publish task=Cartpole seeds=1,2,3",
        ("physx", "export", "deploy"),
    ),
    "runs": Verb(reporting.list_runs, "list the runs, with their scores", ()),
    "view": Verb(reporting.view, "open a live page of a training that runs: {myriad} view RUN", ("viewer",)),
    "report": Verb(reporting.write_reports, "write a run's report.html again: {myriad} report RUN", ()),
    "compare": Verb(reporting.compare, "overlay the curves of runs, as a page and a picture: {myriad} compare A B", ()),
    "sweep": Verb(
        cli.sweep,
        "try many settings: {myriad} sweep task=Cartpole 'sweep.learning_rate=loguniform(1e-4,1e-2)'",
        ("physx", "sweep"),
    ),
    "import": Verb(
        importing.run_import,
        "make a URDF, MJCF or USD file, or a robot of the catalogue, ours: {myriad} import robot.urdf",
        ("physx", "deploy"),
    ),
    "new": Verb(new.run_new, "write a task of your own that runs: {myriad} new Reach robot=panda", ("physx",)),
    "robots": Verb(importing.list_robots, "list the robots that pip brings, with licence, size and picture"),
    "port": Verb(cli.port, "say what would change for a task file of OmniIsaacGymEnvs: {myriad} port FILE", ()),
    "soak": Verb(soak.main, "kill trainings at random for hours, and check what is left", ("physx",)),
    "test": Verb(cli.test, "run the tests (arguments go to pytest)", ("physx", "export", "dev")),
    "gui": Verb(None, "open Isaac Sim with Myriad's window (needs Isaac Sim)", ("export",)),
    "verify-isaacsim": Verb(cli.verify_isaacsim, "try everything in a real Isaac Sim, and write a report", ()),
    "container": Verb(None, "build, run or test a container: {myriad} container run train task=Ant"),
    "doctor": Verb(doctor.main, "say what works on this machine, and how to fix what does not"),
    "python": Verb(None, "the project's own Python, with the developer tools"),
    "help": Verb(None, "this page"),
}

_FIRST_STEPS = """
First steps
  {myriad} train task=Cartpole                   about two minutes, on any machine
  {myriad} train task=Ant num_envs=4096 seed=42  every setting is an argument: name=value
  {myriad} train --help                          the tasks and the settings
"""
_PYTHONS = """
Which Python
  default                   .venv, made at first use and kept in step with pyproject.toml; it holds what every verb
                            needs: PhysX, torch, ONNX, MuJoCo, newton, and the developer tools
  VIRTUAL_ENV, CONDA_PREFIX an active environment is used as it is (conda's base is not)
  ISAACSIM_PATH=folder      Isaac Sim's own python.sh, and Isaac Sim's PhysX
                            (pip installed isaacsim: activate that environment)
  MYRIAD_PYTHON=python3.12  makes .venv with this Python (3.10 to 3.13)
"""


def usage() -> str:
    """Return the page that `myriad help` shows."""
    lines = ["Myriad: reinforcement learning for robots, thousands at a time.", "", "  {myriad} VERB [ARGUMENTS]", ""]
    lines += [f"  {name:15} {VERBS[name].help}" for name in known()]
    tasks = sorted(file.stem for file in data_folder("cfg").glob("task/*.yaml") if file.stem != "Default")
    lines += ["", f"Tasks (a film of each: {FILMS})"]
    lines += textwrap.wrap(" ".join(tasks), width=78, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([*lines, _FIRST_STEPS + ("" if IN_WHEEL else _PYTHONS)]).replace("{myriad}", COMMAND)


def known() -> list[str]:
    """Return the verbs that can be used here: some need the repository."""
    return [
        name for name in VERBS if not (IN_WHEEL and name in ("test", "gui", "verify-isaacsim", "container", "python"))
    ]


def unknown(verb: str) -> str:
    """Return the one line that answers a verb that does not exist."""
    names = known()
    near = [name for name in names if name.startswith(verb)] or difflib.get_close_matches(verb.lower(), names, 1)
    hint = f"Did you mean '{COMMAND} {near[0]}'? All verbs" if near else "The verbs are"
    return f"myriad: no verb '{verb}'. {hint}: {' '.join(names)}"


def check(name: str, arguments: Sequence[str] = ()) -> None:
    """Leave with 1 and the command that helps where this Python lacks what a verb needs; ./myriad gui asks it, too."""
    extras = VERBS[name].extras
    if extras and "engine=newton" in arguments:  # which needs nothing of PhysX's
        extras = tuple("newton" if extra == "physx" else extra for extra in extras)
    if extras is not None and any(argument.lower() == "viewer=true" for argument in arguments):
        extras = (*extras, "viewer")
    if extras is not None and (lacking := requirements.missing(extras)):
        advice = requirements.advice(extras)
        print(f"myriad: {sys.executable} lacks: {' '.join(lacking)}. {advice}", file=sys.stderr)
        cli.leave(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb and end the process with its exit code.

    Args:
        arguments: A verb and what follows it, by default the process's.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["help"]
    if name in ("help", "-h", "--help"):
        print(usage(), end="")
        return
    if name not in known():
        print(unknown(name), file=sys.stderr)
        cli.leave(2)
    run = VERBS[name].run
    if run is None:
        print(f"myriad: '{name}' is a verb of the launcher ./myriad.", file=sys.stderr)
        cli.leave(2)
    try:
        check(name, rest)
        code = run(rest) or 0
    except KeyboardInterrupt:
        code = cli.EXIT_INTERRUPTED
    cli.leave(code)


if __name__ == "__main__":
    main()
