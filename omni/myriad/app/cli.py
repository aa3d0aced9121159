# SPDX-License-Identifier: Apache-2.0
"""The verbs of the command line, from their arguments to an exit code."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from omni.myriad import oige
from omni.myriad.errors import EXIT_RANK_LOST, Interrupted, MyriadError, RankLost
from omni.myriad.places import ROOT

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

_FIRST_RANK_SECONDS = 1.0  # that the first rank has to say what is wrong with all, before another says it, too
_MOST_WORKERS = 4  # that share the tests: each takes up to 1.5 GB
_LOST_SECONDS = 30.0  # that whoever started a rank has to end it after another failed


def run(verb: str, main: Callable[[dict[str, Any]], object], argv: Sequence[str]) -> NoReturn:
    """Run a verb and exit: 0 when done, 2 with one line on bad input, 128 and the signal's number where one ended it.

    Args:
        verb: Key of `schema.VERBS`, which says what the command line may hold and what --help prints.
        main: Called with the resolved configuration.
        argv: What follows the verb on the command line.
    """
    if any(argument in ("-h", "--help") for argument in argv):
        from omni.myriad.app.help import print_help

        print_help(verb, argv)
        sys.exit(0)

    def load_and_run() -> None:
        from omni.myriad.app.config import load_config

        main(load_config(argv, verb))

    attempt(load_and_run)


def attempt(main: Callable[[], object]) -> NoReturn:
    """Call a function and exit as `run` does."""
    level = logging.ERROR if _is_other_rank() else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    code = 0
    try:
        main()
    except MyriadError as error:
        code = _say(str(error), error)
    except RankLost:
        time.sleep(_LOST_SECONDS)  # that one says why; nothing shall come before it
        print("Error: another process of this run no longer answers.", file=sys.stderr)
        code = EXIT_RANK_LOST
    except KeyboardInterrupt as interrupt:
        if not _is_other_rank():
            print(f"\nInterrupted. {interrupt}".rstrip(), file=sys.stderr)
        code = 128 + interrupt.number if isinstance(interrupt, Interrupted) else EXIT_INTERRUPTED
    except Exception as error:
        place = _task_place(error)
        if place is None and "RANK" not in os.environ:
            raise
        if place is None:
            _let_the_first_speak()
            traceback.print_exception(error)
            code = 1
        else:
            code = _say(f"{place}: {type(error).__name__}: {error}", error)
    leave(code)


def _is_other_rank() -> bool:
    """Tell whether this is one of several processes of a run, and not the one that speaks for them."""
    return (os.environ.get("RANK") or "0") != "0"


def _let_the_first_speak() -> None:
    if _is_other_rank():
        time.sleep(_FIRST_RANK_SECONDS)


def leave(code: int) -> NoReturn:
    """End the process with an exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    if path := os.environ.get("MYRIAD_EXIT_CODE"):
        Path(path).write_text(str(code))  # for the launcher: Isaac Sim's python.sh makes a 1 of every failure
    if isaac_sim := sys.modules.get("omni.myriad.engine.isaacsim.app"):
        isaac_sim.leave(code)  # Kit has to be closed, and would end the process with its own exit code
    if "RANK" in os.environ:
        os._exit(code)  # what is left of the others' talk would be waited for, or abort Python's own end
    sys.exit(code)


def _say(message: str, error: BaseException) -> int:
    _let_the_first_speak()
    if os.environ.get("MYRIAD_TRACEBACK"):
        traceback.print_exception(error)
    print("Error: " + " ".join(message.split()), file=sys.stderr)
    return EXIT_BAD_INPUT


def _task_place(error: BaseException) -> str | None:
    """Return file:line if the error passed through a task's file, or one beside it: then the mistake is there."""
    modules = list(sys.modules.items())
    packages = ("myriad_tasks.", f"{oige.PACKAGE}.")
    tasks = {str(getattr(module, "__file__", "")): name for name, module in modules if name.startswith(packages)}
    beside = {Path(file).parent for file, name in tasks.items() if file and name.startswith(packages[0])}
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename in tasks or Path(frame.filename).parent in beside
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else None


# -- the verbs ---------------------------------------------------------------------------------------------------------


def run_task(verb: str, arguments: Sequence[str]) -> None:
    """Train a task, or play or export what was trained; `train test=True` plays."""

    def main(config: dict[str, Any]) -> None:
        if config["gpus"] > 1 and not config["test"]:
            from omni.myriad.app.launch import run_ranks

            settings = [text for text in arguments if text.partition("=")[0] != "gpus"]
            leave(run_ranks(config["gpus"], ["-m", "omni.myriad", verb, *settings, "multi_gpu=True"]))
        from omni.myriad.app import runs

        does = {"train": runs.train, "play": runs.play, "export": runs.export}
        does["play" if config["test"] else verb](config)

    run(verb, main, arguments)


def deploy(arguments: Sequence[str]) -> None:
    """Run an exported policy outside its trainer; its settings are its file's."""
    engines = [text.partition("=")[2] for text in arguments if text.startswith("engine=")]
    others = [text for text in arguments if not text.startswith("engine=")]
    files = [text for text in others if "=" not in text and not text.startswith("-")]
    settings = [text for text in others if text not in files]

    def main(config: dict[str, Any]) -> None:
        from omni.myriad.deploy.deployment import deploy

        if len(files) != 1:
            raise MyriadError("Give one policy: ./myriad deploy policy.onnx. ./myriad export writes such a file.")
        deploy(config, Path(files[0]).expanduser(), engines[-1] if engines else "physx")

    run("deploy", main, ["engine=physx", *settings])


def benchmark(arguments: Sequence[str]) -> None:
    """Measure how fast this machine steps, trains and starts, or put results together."""
    from omni.myriad.app.options import split
    from omni.myriad.app.schema import Benchmark

    ours, settings = split(Benchmark, arguments)

    def main(config: dict[str, Any]) -> None:
        from omni.myriad.benchmark import suite

        suite.run(config, ours, settings)

    run("benchmark", main, settings)


def publish(arguments: Sequence[str]) -> None:
    """Fill policies/<Task>/, or judge what is there."""
    from omni.myriad.app.options import split, values
    from omni.myriad.app.schema import Publish

    ours, settings = split(Publish, arguments)

    def main(config: dict[str, Any]) -> None:
        from omni.myriad.publish import publishing

        publishing.publish(config, Publish(**values(Publish, ours)), settings)

    run("publish", main, settings)


def sweep(arguments: Sequence[str]) -> None:
    """Train a task many times with other settings, and say which are best."""

    def main() -> None:
        from omni.myriad.sweep.sweep import run

        run(arguments)

    if any(argument in ("-h", "--help") for argument in arguments):
        run("sweep", lambda config: None, arguments)
    attempt(main)


def port(arguments: Sequence[str]) -> None:
    """Say what would change for task files of OmniIsaacGymEnvs that are to become some of ours."""

    def main() -> None:
        from omni.myriad.oige.port import report

        if not arguments:
            raise MyriadError("Give a file: ./myriad port omniisaacgymenvs/tasks/cartpole.py")
        print("\n".join(report(Path(argument)) for argument in arguments))

    attempt(main)


def verify_isaacsim(arguments: Sequence[str]) -> None:
    """Try everything in a real Isaac Sim; exit with 1 if anything failed."""

    def main() -> None:
        from omni.myriad.app.verify import run_verify

        if run_verify(arguments):
            leave(1)

    attempt(main)


def test(arguments: Sequence[str]) -> None:
    """Become pytest, in the checkout, where its configuration is; the whole suite is shared among up to four cores."""
    os.chdir(ROOT)
    whole = not any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    workers = min(len(os.sched_getaffinity(0)), _MOST_WORKERS) if whole and find_spec("xdist") else 1
    if workers > 1:
        arguments = ["-n", str(workers), "--dist", "worksteal", *arguments]
    for name in ("MYRIAD_EXIT_CODE", "PYTHONSAFEPATH"):  # what the launcher told us, and not those that tests start
        os.environ.pop(name, None)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
