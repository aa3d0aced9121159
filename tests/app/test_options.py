# SPDX-License-Identifier: Apache-2.0
"""What a setting may be, from its type and limits: what is taken, what is refused, and in which words."""

import copy
import dataclasses
import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.myriad.app import schema
from omni.myriad.app.options import UNSET, Option, Section, check, find, keys, like, option, options
from omni.myriad.errors import MyriadError


def said(setting: Option, value: Any) -> str:
    with pytest.raises(MyriadError) as caught:
        setting.checked("key", value)
    return str(caught.value).removeprefix(f"key={'null' if value is None else value} is invalid: ")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        (Option(int), 1.0, "it must be a whole number."),
        (Option(int), True, "it must be a whole number."),
        (Option(int, least=1), 0, "it must be a whole number, at least 1."),
        (Option(int, least=1, most=3), 4, "it must be a whole number, from 1 to 3."),
        (Option(int | None, least=1), 0, "it must be a whole number, at least 1, or empty."),
        (Option(int | None), "x", "it must be a whole number or empty."),
        (Option(float, above=0), 0, "it must be a number, above 0."),
        (Option(float), math.nan, "it must be a number."),
        (Option(float), math.inf, "it must be a number."),
        (Option(float), "1", "it must be a number."),
        (Option(float, infinite=True), math.nan, "it must be a number."),
        (Option(bool), 1, "it must be True or False."),
        (Option(str, filled=True), "", "it must be text."),
        (Option(str), [], "it must be text."),
        (Option(str, matches="a+", wants="some a"), "b", "it must be some a."),
        (Option(Literal["a", "b"]), "c", "choose one of a, b."),
        (Option(Literal["a", "b"] | None), "c", "it must be a, b, or empty."),
        (Option(Literal[0, 1]), True, "choose one of 0, 1."),
        (Option(Literal["auto"] | int, least=1), 0, "it must be auto or a whole number, at least 1."),
        (Option(list[int], least=1, filled=True), [], "it must be a list of whole numbers, at least 1."),
        (Option(list[int], least=1), [2, 0], "it must be a list of whole numbers, at least 1."),
        (Option(list[float], size=3), [1, 2], "it must be a list of 3 numbers."),
        (Option(tuple[Literal["a", "b"], ...]), ("c",), "it must be some of a, b."),
        (Option(dict), 5, "it must be a section."),
        (Option(schema.Env), None, "it must be a section."),
    ],
)
def test_what_is_refused_is_told_what_is_allowed(setting, value, words):
    assert said(setting, value) == words


@pytest.mark.parametrize(
    ("setting", "value", "meant"),
    [
        (Option(int | None), "", None),
        (Option(str), None, ""),
        (Option(str), 5, "5"),
        (Option(str, matches=r"\d"), 5, "5"),
        (Option(float), 3, 3),
        (Option(float, infinite=True), math.inf, math.inf),
        (Option(list[float], size=2), [1, 2.5], [1, 2.5]),
        (Option(Any), object, object),
    ],
)
def test_what_is_taken_is_what_was_meant(setting, value, meant):
    assert setting.checked("key", value) == meant


class Inner(Section):
    number: int = option(UNSET, "a number", least=1)
    other: float = option(2.0, "another")


class Outer(Section):
    inner: Inner = option(UNSET, "a section")
    again: Inner | None = option(None, "one more")


def test_sections_are_gone_into():
    values = {"inner": {"number": 1, "other": 5, "own": 3}, "more": {"a": 1}}
    check(options(Outer), values, {"inner": {"own": 2}, "more": {"a": 2}})
    for broken, message in (
        ({"inner": {}}, "inner.number is missing: it must be a whole number, at least 1."),
        ({}, "inner is missing: it must be a section."),
        ({"inner": {"number": 1}, "again": {"number": 0}}, "again.number=0 is invalid"),
        ({"inner": {"number": 1, "own": "x"}}, "inner.own=x is invalid: it must be a whole number."),
        ({"inner": {"number": 1}, "more": {"a": []}}, r"more.a=\[\] is invalid"),
    ):
        with pytest.raises(MyriadError, match=message):
            check(options(Outer), broken, {"inner": {"own": 2}, "more": {"a": 2}})
    assert list(keys(options(Outer))) == [
        "inner", "inner.number", "inner.other", "again", "again.number", "again.other"
    ]  # fmt: skip
    assert find(options(Outer), "again.other") == options(Inner)["other"]
    assert (
        find(options(Outer), "inner.own")
        is find(options(Outer), "own")
        is find(options(Outer), "inner.other.x")
        is None
    )


_64_BITS = st.integers(1 - 2**63, 2**63 - 1)  # what a setting may be


def nested(whole=st.integers()):  # noqa: B008 - a strategy is a description
    plain = st.none() | st.booleans() | whole | st.floats() | st.text(max_size=5)
    several = lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3)  # noqa: E731
    return st.recursive(plain, several)


@given(nested(_64_BITS))
def test_a_value_is_like_itself(value):
    if "nan" not in str(value):
        assert check({}, {"key": copy.deepcopy(value)}, {"key": value}) == {"key": value}


@given(nested(), nested())
def test_any_value_is_taken_or_refused_in_one_line(value, declared):
    for setting in (like(declared), *options(schema.Config).values(), *schema.everything().values()):
        try:
            meant = setting.checked("key", value)
        except MyriadError as error:
            assert str(error).startswith("key=") and " is invalid: " in str(error)
        else:
            assert repr(setting.checked("key", meant)) == repr(meant)  # what is meant stays what it is, be it nan


@given(_64_BITS | st.floats(), st.floats(-10, 10), st.floats(-10, 10))
def test_numbers_keep_to_their_bounds(value, least, most):
    def taken(**limits):
        try:
            Option(float, **limits).checked("key", value)
        except MyriadError:
            return False
        return True

    finite = math.isfinite(value)
    assert taken(least=least) == (finite and value >= least)
    assert taken(above=least) == (finite and value > least)
    assert taken(least=least, most=most) == (finite and least <= value <= most)


def sections(section: type[Section] = schema.TrainVerb):
    yield section
    for setting in options(section).values():
        if setting.section:
            yield from sections(setting.section)


def test_every_setting_has_help_and_a_default_that_it_allows():
    for section in {*sections(), schema.Actor, schema.Benchmark, *schema.VERBS.values()}:
        for name, setting in options(section).items():
            assert setting.help and not setting.help.endswith("."), f"{section.__name__}.{name}"
            if setting.default not in (UNSET, None) and not setting.section:
                assert setting.checked(name, setting.default) == setting.default


def test_verbs_agree_on_what_is_left_out():
    for name, setting in schema.everything().items():
        for verb in schema.VERBS.values():
            if name in options(verb) and name not in schema.GROUPS:
                assert options(verb)[name].default == setting.default, name
    assert dataclasses.asdict(schema.Benchmark())["measure"] == ("bare_loop", "env", "train", "startup", "peers")
