# SPDX-License-Identifier: Apache-2.0
"""Which of PhysX's messages are shown."""

import logging

import pytest

from omni.myriad.engine.physx.runtime import _Repeats


@pytest.fixture
def shown():
    """Return what is shown of messages, each a level and a text."""

    def show(*messages):
        repeats, texts = _Repeats(), []
        for level, text in messages:
            record = logging.LogRecord("physx", level, "", 0, text, (), None)
            if repeats.filter(record):
                texts.append(record.getMessage())
        return texts

    return show


def test_a_message_is_shown_three_times(shown):
    texts = shown(*[(logging.ERROR, f"joint {i} is lost") for i in range(9)])
    assert texts == ["joint 0 is lost", "joint 1 is lost", "joint 2 is lost (further messages like this are hidden)"]


def test_of_warnings_three_kinds_are_shown_and_all_errors(shown, monkeypatch):
    monkeypatch.delenv("MYRIAD_PHYSX_WARNINGS", raising=False)
    kinds = [(logging.WARNING, f"warning {letter}") for letter in "abcdefghijklm"]
    texts = shown(*kinds, *kinds, (logging.ERROR, "the scene is empty"))
    assert texts == [
        *(f"warning {letter}" for letter in "abc"), "PhysX has more to warn of, which MYRIAD_PHYSX_WARNINGS=1 shows",
        *(f"warning {letter}" for letter in "abc"), "the scene is empty",
    ]  # fmt: skip
    monkeypatch.setenv("MYRIAD_PHYSX_WARNINGS", "1")
    assert len(shown(*kinds)) == 13
