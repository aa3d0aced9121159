# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: from the command line to an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from omni.myriad import oige
from omni.myriad.errors import MyriadError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def run(verb: str, main: Callable[[dict[str, Any]], object], argv: Sequence[str]) -> NoReturn:
    """Run a verb and exit: 0 when done, 2 with one line on bad input, 130 on Ctrl-C.

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
    """Call a function and exit: 0 when done, 2 with one line on bad input, 130 on Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    code = 0
    try:
        main()
    except MyriadError as error:
        code = _say(str(error), error)
    except KeyboardInterrupt as interrupt:
        print(f"\nInterrupted. {interrupt}".rstrip(), file=sys.stderr)
        code = EXIT_INTERRUPTED
    except Exception as error:
        place = _task_place(error)
        if place is None:
            raise
        code = _say(f"{place}: {type(error).__name__}: {error}", error)
    leave(code)


def leave(code: int) -> NoReturn:
    """End the process with an exit code."""
    sys.stdout.flush()
    if path := os.environ.get("MYRIAD_EXIT_CODE"):
        Path(path).write_text(str(code))  # for the launcher: Isaac Sim's python.sh makes a 1 of every failure
    if isaac_sim := sys.modules.get("omni.myriad.engine.isaacsim.app"):
        isaac_sim.leave(code)  # Kit has to be closed, and would end the process with its own exit code
    sys.exit(code)


def _say(message: str, error: BaseException) -> int:
    if os.environ.get("MYRIAD_TRACEBACK"):
        traceback.print_exception(error)
    print("Error: " + " ".join(message.split()), file=sys.stderr)
    return EXIT_BAD_INPUT


def _task_place(error: BaseException) -> str | None:
    """Return file:line if the error passed through a task's file: then it is the task's mistake, not Myriad's."""
    modules = list(sys.modules.items())
    packages = ("myriad_tasks.", f"{oige.PACKAGE}.")
    tasks = {getattr(module, "__file__", None) for name, module in modules if name.startswith(packages)}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in tasks]
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else None
