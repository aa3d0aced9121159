# SPDX-License-Identifier: Apache-2.0
"""What a setting is, said once as a field of a dataclass: type, default, range, help; and the check of its value."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, get_args, get_origin

from omni.myriad.errors import MyriadError
from omni.myriad.places import COMMAND

UNSET: Any = object()

_NOUNS = {int: "whole number", float: "number", str: "text", dict: "section"}


def option(default: Any, help: str, **limits: Any) -> Any:
    """Return the dataclass field of a setting; its annotation is the setting's type.

    Args:
        default: Its value where no YAML has one; UNSET if one must.
        help: One line for people.
        limits: Those attributes of `Option` that hold for it, from `least` on.
    """
    return field(default=default, metadata={"help": help, **limits})


class Section:
    """Make a dataclass of each class of settings: a section of the configuration, or what a verb takes.

    Attributes:
        others: What sections may be that it does not name; Option(Any) where anything may be added.
        partial: Whether settings may be missing, all of them.
        closed: Whether it may hold nothing beside what it names, even if its YAML does.
        usage: The rest of a verb's command line.
        settings_of: What else has settings that a verb does not take.
    """

    others: ClassVar[Option | None] = None
    partial: ClassVar[bool] = False
    closed: ClassVar[bool] = False
    usage: ClassVar[str] = ""
    settings_of: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        dataclass(cls)

    @staticmethod
    def agree(values: dict[str, Any], prefix: str) -> None:
        """Raise a MyriadError where values of a section, each of which may be, cannot be together."""


@dataclass(frozen=True)
class Option:
    """A setting, as `option` said it.

    Attributes:
        hint: Its type: bool, int, float, str, a Literal, a list or tuple of these, dict, a dataclass; or a union.
        default: Its value where no YAML has one.
        help: One line for people.
        least: The smallest number.
        most: The largest number.
        above: What a number must exceed.
        size: Length of a list.
        filled: Whether a list or text must not be empty.
        infinite: Whether a number may be inf.
        matches: What a text must match.
        wants: How to say what is allowed, where type and limits do not say it.
    """

    hint: Any
    default: Any = UNSET
    help: str = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    size: int | None = None
    filled: bool = False
    infinite: bool = False
    matches: str = ".*"
    wants: str = ""

    @property
    def hints(self) -> tuple[Any, ...]:
        """The types that its type is a union of."""
        return get_args(self.hint) if get_origin(self.hint) in (typing.Union, types.UnionType) else (self.hint,)

    @property
    def section(self) -> type[Section] | None:
        """The class of the section that it is, or None."""
        return next((hint for hint in self.hints if isinstance(hint, type) and issubclass(hint, Section)), None)

    @property
    def is_leaf(self) -> bool:
        """Whether it may be something else than a section."""
        return any(hint not in (self.section, dict, types.NoneType) for hint in self.hints)

    @property
    def is_open(self) -> bool:
        """Whether it is a section that may hold whatever its YAML does."""
        return self.section is not None and not self.section.closed

    @property
    def allowed(self) -> str:
        """What its value may be, in words such as: a whole number, at least 1, or empty."""
        if self.wants:
            return self.wants
        words = [self._word(hint) for hint in self.hints if hint is not types.NoneType]
        limits = {"at least": self.least, "above": self.above, "at most": self.most}
        if self.least is not None and self.most is not None:
            limits = {f"from {self.least} to": self.most}
        text = ", ".join(
            [" or ".join(words), *(f"{what} {limit}" for what, limit in limits.items() if limit is not None)]
        )
        if types.NoneType in self.hints:
            text += ", or empty" if "," in text else " or empty"
        return text

    def _word(self, hint: Any) -> str:
        if get_origin(hint) is Literal:
            return ", ".join(str(choice) for choice in get_args(hint))
        if get_origin(hint) in (list, tuple) and get_origin(get_args(hint)[0]) is Literal:
            return f"some of {self._word(get_args(hint)[0])}"
        if get_origin(hint) in (list, tuple):
            return f"a list of {f'{self.size} ' if self.size else ''}{_NOUNS.get(get_args(hint)[0], 'value')}s"
        if hint is bool:
            return "True or False"
        return "text" if hint is str else f"a {_NOUNS.get(hint, 'section')}"

    def checked(self, key: str, value: Any) -> Any:
        """Return what is meant by a value: None by an empty number, text by a name such as 5.

        Raises:
            MyriadError: If it is invalid, with its key and what is allowed.
        """
        meant = value
        if str in self.hints:
            meant = "" if value is None else str(value) if type(value) in (int, float) else value
        elif value == "" and types.NoneType in self.hints:
            meant = None
        if not any(self._fits(meant, hint) for hint in self.hints):
            shown = "null" if value is None else str(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            choices = all(get_origin(hint) is Literal for hint in self.hints)
            want = f"choose one of {self.allowed}" if choices and not self.wants else f"it must be {self.allowed}"
            raise MyriadError(f"{key}={shown} is invalid: {want}.")
        return meant

    def _fits(self, value: Any, hint: Any) -> bool:
        origin, arguments = get_origin(hint), get_args(hint)
        if hint is Any:
            return True
        if origin is Literal:
            return any(type(value) is type(choice) and value == choice for choice in arguments)
        if origin in (list, tuple):
            fits = isinstance(value, origin) and len(value) == (self.size or len(value))
            return fits and bool(value or not self.filled) and all(self._fits(item, arguments[0]) for item in value)
        if hint is str:
            return (
                isinstance(value, str)
                and bool(value or not self.filled)
                and bool(re.fullmatch(self.matches, value, re.DOTALL))
            )
        if hint not in (int, float):
            return isinstance(value, hint)
        return (
            isinstance(value, (int, hint))
            and not isinstance(value, bool)
            and (isinstance(value, float) or abs(value) < 2**63)
            and (math.isfinite(value) or (self.infinite and not math.isnan(value)))
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
        )


@cache
def options(section: Any) -> dict[str, Option]:
    """Return the settings that a section names."""
    hints = typing.get_type_hints(section)
    return {f.name: Option(hints[f.name], f.default, **f.metadata) for f in dataclasses.fields(section)}


def find(known: Mapping[str, Option], key: str, others: Option | None = None) -> Option | None:
    """Return the setting that a key such as task.env.numEnvs means, or None if there can be none.

    Args:
        known: Settings by name, as `options` returns them.
        key: The key below them.
        others: What settings of other names may be.
    """
    name, _, rest = key.partition(".")
    found = known.get(name, others)
    if found is None or not rest or found.hint is Any:
        return found
    if found.section:
        return find(options(found.section), rest, found.section.others)
    return Option(Any) if dict in found.hints else None


def keys(known: Mapping[str, Option], prefix: str = "") -> Iterator[str]:
    """Yield the keys of settings and of all below them."""
    for name, found in known.items():
        yield prefix + name
        if found.section and not found.section.partial:
            yield from keys(options(found.section), f"{prefix}{name}.")


def check(
    known: Mapping[str, Option],
    values: dict[str, Any],
    declared: Mapping[str, Any],
    prefix: str = "",
    section: type[Section] = Section,
) -> dict[str, Any]:
    """Check the values of a section, and return them, each replaced by what is meant by it.

    Args:
        known: The settings that it names.
        values: Their values and others.
        declared: What its YAML has: others must be like it.
        prefix: What goes before names in messages.
        section: Its class.

    Raises:
        MyriadError: On a value that is missing or invalid.
    """
    for name in [*known, *(name for name in values if name not in known)]:
        if name not in values:
            if known[name].default is UNSET and not section.partial:
                raise MyriadError(f"{prefix}{name} is missing: it must be {known[name].allowed}.")
            continue
        value, below = values[name], declared.get(name)
        found = known.get(name, section.others if isinstance(value, dict) else None)
        if isinstance(value, dict) and found is not None and found.section:
            below = below if isinstance(below, dict) else {}
            check(options(found.section), value, below, f"{prefix}{name}.", found.section)
        elif name not in known and isinstance(value, dict) and isinstance(below, dict):
            check({}, value, below, f"{prefix}{name}.")
        else:
            values[name] = known.get(name, like(below)).checked(prefix + name, value)
    section.agree(values, prefix)
    return values


def split(section: Any, arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Part a verb's own arguments from settings of the runs that it starts, such as task=Ant; nothing is checked yet.

    Returns:
        The verb's own as name: value, and the settings as they were given.
    """
    ours = [text for text in arguments if "=" in text and text.partition("=")[0] in options(section)]
    return dict(text.split("=", 1) for text in ours), [text for text in arguments if text not in ours]


def values(section: Any, ours: Mapping[str, str]) -> dict[str, Any]:
    """Check a verb's own arguments, and return them; commas separate several values of one.

    Raises:
        MyriadError: On an invalid value.
    """
    return {name: _value(name, options(section)[name], text) for name, text in ours.items()}


def _value(name: str, option: Option, text: str) -> Any:
    kind, *_ = get_args(option.hint) if get_origin(option.hint) is tuple else [None]
    if kind is None:
        return option.checked(name, _read(text, option.hints))
    items = [item.strip() for item in text.strip("[]() ").split(",") if item.strip()]
    if known := get_args(kind):
        items = known if text == "all" else () if text == "none" else items
        for item in items:
            if item not in known:
                raise MyriadError(f"{name}={item} is unknown; choose from: {', '.join(known)}, all.")
        return tuple(item for item in known if item in items)
    one = dataclasses.replace(option, hint=kind)
    return tuple(one.checked(name, _read(item, (kind,))) for item in items)


def _read(text: str, kinds: Sequence[Any]) -> Any:
    if bool in kinds:
        return {"true": True, "false": False}.get(text.lower(), text)
    for kind in kinds:
        if kind in (int, float):
            with contextlib.suppress(ValueError):
                return kind(text)
    return text


def page(verb: str, section: Any) -> str:
    """Return what --help of a verb prints, which has no more settings than its section names."""
    lines = [f"{COMMAND} {verb} {section.usage}", section.__doc__, ""]
    for name, found in options(section).items():
        default = "" if found.default is None else found.default
        lines.append(f"  {f'{name}={default}':18} {found.help} [{found.allowed}]")
    return "\n".join(lines)


def parse(verb: str, section: Any, arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Return what is no setting among a verb's arguments, and the values of all its settings.

    Raises:
        MyriadError: On a setting that it does not have, or an invalid value.
    """
    import yaml  # what shows the help may have nothing but Python

    known, names = options(section), [text for text in arguments if "=" not in text]
    values = {name: found.default for name, found in known.items()}
    for name, _, text in (text.partition("=") for text in arguments if "=" in text):
        if name not in known:
            raise MyriadError(f"{name} is no setting of {verb}; it has: {', '.join(known)}.")
        value = yaml.safe_load(text) if str not in known[name].hints else text
        values[name] = known[name].checked(name, value)
    return names, values


def like(declared: Any) -> Option:
    """Return the setting of which a value that a YAML declares is an example.

    A whole number must stay one, a list its length, a section a section; null and [] may become anything.
    """
    if declared is None or declared == []:
        return Option(Any)
    if not isinstance(declared, list):
        return Option(type(declared), infinite=isinstance(declared, float) and math.isinf(declared))
    kinds = {type(item) for item in declared}
    kind = kinds.pop() if len(kinds) == 1 else float if kinds == {int, float} else Any
    return Option(list[kind], size=len(declared), infinite=math.inf in declared)
