"""What a spec must make sense of beside its keys and kinds: names, references, defaults."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import NoReturn

from lossproof.errors import SpecError, suggest
from lossproof.expression.primitives import PUBLIC
from lossproof.spec.model import Domain, Law, Parameter, Spec
from lossproof.spec.plane import check_plane
from lossproof.spec.source import Source

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = frozenset({*keyword.kwlist, *PUBLIC, "inf", "grad"})


class Rules:
    """What a spec means: names that clash, words that refer to nothing, defaults that are not allowed."""

    def __init__(self, spec: Spec, source: Source) -> None:
        self.spec, self.source = spec, source
        self.dimensions = {axis for i in spec.inputs.values() for axis in i.shape if isinstance(axis, str)}

    def _refuse(self, message: str, *path: str | int, value: bool = True) -> NoReturn:
        raise SpecError(message, self.source.value(*path) if value else self.source.key(*path))

    def check(self) -> None:
        spec = self.spec
        if not spec.inputs:
            self._refuse("a loss has an input", "inputs")
        self._names()
        for name, i in spec.inputs.items():
            self._shape(i.shape, "inputs", name)
            if i.domain is Domain.PERMUTATION or i.domain is Domain.POWER_OF_TWO:
                self._refuse(f"the domain {i.domain} is for variables of laws", "inputs", name, "domain")
            self._ahead(name)
        if spec.independent is not None and spec.independent not in self.dimensions:
            hint = suggest(spec.independent, self.dimensions)
            self._refuse(f"'{spec.independent}' is no dimension of the inputs{hint}", "independent")
        for name, parameter in spec.parameters.items():
            self._parameter(name, parameter)
        for name in spec.slack.gradient if isinstance(spec.slack.gradient, dict) else ():
            if name not in spec.inputs:
                self._refuse(
                    f"'{name}' is no input{suggest(name, spec.inputs)}",
                    "slack",
                    "gradient",
                    name,
                    value=False,
                )
        for name in spec.excuse:
            if name not in spec.inputs:
                self._refuse(f"'{name}' is no input{suggest(name, spec.inputs)}", "excuse", name, value=False)
        for name, law in spec.laws.items():
            self._law(name, law)
        check_plane(spec, self._refuse)

    def _ahead(self, name: str) -> None:
        declared = self.spec.inputs[name]
        if declared.ahead is None:
            return
        if declared.domain is not Domain.CLASS_INDEX:
            self._refuse("'ahead' is for the domain class_index", "inputs", name, "ahead", value=False)
        if declared.ahead not in declared.shape:
            hint = suggest(declared.ahead, [axis for axis in declared.shape if isinstance(axis, str)])
            self._refuse(f"'{declared.ahead}' is no dimension of '{name}'{hint}", "inputs", name, "ahead")

    def _names(self) -> None:
        spec = self.spec
        taken: dict[str, str] = dict.fromkeys(self.dimensions, "a dimension")
        groups = {"inputs": "an input", "parameters": "a parameter", "let": "a definition of 'let'"}
        for group, what in groups.items():
            for name in getattr(spec, group):
                self._name(name, taken, group, name)
                taken[name] = what
        for name, law in spec.laws.items():
            self._word(name, "laws", name)
            for variable in law.forall:
                self._name(variable, taken, "laws", name, "forall", variable)

    def _word(self, name: str, *path: str) -> None:
        if not _WORD.fullmatch(name):
            self._refuse(f"'{name}' is no name: letters, digits and _ are allowed", *path, value=False)

    def _name(self, name: str, taken: dict[str, str], *path: str) -> None:
        self._word(name, *path)
        if name in _RESERVED:
            self._refuse(f"the name '{name}' means something else in the language", *path, value=False)
        if name in taken:
            self._refuse(f"the name '{name}' is taken: it is {taken[name]} already", *path, value=False)

    def _shape(self, shape: Iterable[str | int], *path: str) -> None:
        for axis in shape:
            if isinstance(axis, str) and (not _WORD.fullmatch(axis) or axis in _RESERVED):
                self._refuse(f"'{axis}' is no name of a dimension, such as N", *path, "shape")
            if isinstance(axis, int) and axis < 1:
                self._refuse(f"a size is at least 1, not {axis}", *path, "shape")

    def _parameter(self, name: str, parameter: Parameter) -> None:
        at = ("parameters", name)
        kinds = [key for key in ("choices", "range", "shape") if getattr(parameter, key) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            message = f"parameter '{name}' needs one of choices, range and shape, and has {found}"
            self._refuse(message, *at, value=False)
        default, label = parameter.default, f"the default of '{name}'"
        if parameter.choices is not None:
            # the types tell 1 from true and 1.0
            if (type(default), default) not in [(type(c), c) for c in parameter.choices]:
                words = ["null" if c is None else str(c) for c in parameter.choices]
                hint = suggest(str(default), words)
                self._refuse(f"{label} is not among its choices: {default}{hint}", *at, "default")
        elif parameter.shape is not None:
            self._shape(parameter.shape, *at)
            unknown = [a for a in parameter.shape if isinstance(a, str) and a not in self.dimensions]
            if unknown:
                hint = suggest(unknown[0], self.dimensions)
                self._refuse(f"no input has the dimension '{unknown[0]}'{hint}", *at, "shape")
            if parameter.domain is None:
                self._refuse(f"parameter '{name}' is an array and needs the key 'domain'", *at, value=False)
            if default is not None:
                self._refuse(f"{label} is null, since it is an array", *at, "default")
        else:
            assert parameter.range is not None
            low, high = parameter.range
            if not low <= high:
                self._refuse(f"the range of '{name}' goes from its lower end to its upper", *at, "range")
            for key, numbers in (("default", (default,)), ("ends", parameter.ends)):
                for number in numbers:
                    if number is None and key == "default":
                        continue
                    if isinstance(number, bool) or not isinstance(number, int | float):
                        self._refuse(f"{label} is a number or null", *at, key)
                    if parameter.integer and number != int(number):
                        self._refuse(f"'{name}' is a whole number, not {number}", *at, key)
            for number in parameter.ends:
                if not low <= number <= high:
                    self._refuse(f"'{name}' cannot be {number}: its range is [{low}, {high}]", *at, "ends")

    def _law(self, name: str, law: Law) -> None:
        inputs = self.spec.inputs
        for variable, v in law.forall.items():
            at = ("laws", name, "forall", variable)
            for key, word in (("like", v.like), ("grid", v.grid)):
                if word is not None and word not in inputs:
                    self._refuse(f"'{key}' names no input: '{word}'{suggest(word, inputs)}", *at, key)
            if (v.like is None) == (v.shape is None) or (v.shape is None) != (v.domain is None):
                message = f"variable '{variable}' needs either 'like', or 'shape' and 'domain'"
                self._refuse(message, *at, value=False)
            self._shape(v.shape or (), *at)
