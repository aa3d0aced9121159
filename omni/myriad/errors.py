# SPDX-License-Identifier: Apache-2.0
"""What ends a process early and is no defect: an error that people are meant to read, and a signal."""

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

EXIT_RANK_LOST = 69  # EX_UNAVAILABLE of sysexits.h
"""What a process exits with after `RankLost`."""


class MyriadError(Exception):
    """Say in one line what was wrong and what would be right.

    Entry points print the message alone and exit with code 2; a traceback means a defect in Myriad or in a task.
    """


@contextlib.contextmanager
def afterwards(action: Callable[[], object]) -> Iterator[None]:
    """Do something once the block has ended, in whatever way; what ended it goes before an error of the action's."""
    try:
        yield
    except BaseException:
        try:
            action()
        except MyriadError as error:
            logger.warning("besides: %s", error)
        raise
    action()


class Interrupted(KeyboardInterrupt):
    """Say how far training came when a signal ended it, after everything was saved.

    Args:
        message: What was done, and how to go on.
        number: The signal: Ctrl-C's, a scheduler's SIGTERM, or the SIGHUP of a terminal that was closed.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number


class RankLost(Exception):  # noqa: N818 - it is no error of this process
    """Say that another process of the same run no longer answers: it ended, and says itself why."""
