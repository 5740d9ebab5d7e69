"""What a spec says, as data. The loader (load.py) makes these from YAML and knows the places of errors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from lossproof.errors import ExpressionError, Place, SpecError
from lossproof.spec.source import Keys, Source, text

Dim = str | int
Shape = tuple[Dim, ...]
Choice = bool | str | int | None


class Domain(StrEnum):
    """What values an input may hold.

    The classes of a distribution or of logits lie along the last axis.
    """

    REAL = "real"
    EXTENDED_REAL = "extended_real"  # finite or −inf
    PROBABILITY = "probability"  # ≥ 0, the last axis sums to 1 up to rounding
    LOG_PROBABILITY = "log_probability"  # logarithms of a distribution, −inf included
    POSITIVE = "positive"
    NONNEGATIVE = "nonnegative"
    UNIT_INTERVAL = "unit_interval"
    CLASS_INDEX = "class_index"  # int64 in [0, V)
    CLASS_ID = "class_id"  # int64 of any value: equal numbers are one class
    SIGN = "sign"  # −1 or +1
    BINARY = "binary"  # 0 or 1, in the dtype
    MASK = "mask"  # bool
    EMBEDDING = "embedding"  # real vectors along the last axis, with the regimes of geometry
    # for variables of laws
    PERMUTATION = "permutation"  # int64, a permutation of range(size)
    POWER_OF_TWO = "power_of_two"


REAL_DOMAINS = frozenset(Domain) - {Domain.CLASS_INDEX, Domain.CLASS_ID, Domain.MASK, Domain.PERMUTATION}


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=True)


class Input(Part):
    """An input of a loss: its shape in named dimensions, what it may hold, whether it takes a gradient.

    unread: a condition over the inputs; where it holds, nothing depends on an entry, so it may hold anything, nan
    and +inf included. ahead: the dimension along which a class index is the label of the entry before it.
    """

    shape: Shape
    domain: Domain
    differentiable: bool = True
    unread: str | None = None
    ahead: str | None = None

    @property
    def is_real(self) -> bool:
        return self.domain in REAL_DOMAINS


class Variable(Part):
    """A variable of a law: `{shape, domain}`, or `{like: input}` for another draw of an input.

    grid: the input with which sums must be exact; both are drawn on a common grid.
    """

    shape: Shape | None = None
    domain: Domain | None = None
    like: str | None = None
    grid: str | None = None


class Parameter(Part):
    """An option of a loss: a convention (`choices`), a number (`range`) or an array (`shape`, `domain`).

    range: closed ends of the interval from which a number is drawn; `ends` are values that are always tried.
    default null: the parameter is off.
    """

    default: Any
    choices: tuple[Choice, ...] | None = None
    range: tuple[float, float] | None = None
    ends: tuple[float, ...] = ()
    integer: bool = False
    shape: Shape | None = None
    domain: Domain | None = None
    text: str | None = None

    @property
    def kind(self) -> Literal["choice", "number", "array"]:
        return "choice" if self.choices is not None else "array" if self.shape is not None else "number"


class Law(Part):
    """An invariant of a loss; see the language reference for its expression.

    when: where the law applies (elementwise, or static on parameters). exists: one witness is enough.
    """

    law: str
    forall: dict[str, Variable] = Field(default_factory=dict)
    when: str | None = None
    exists: bool = False
    text: str | None = None


class Slack(Part):
    """Widens *degraded* (never *pass*) by 8 roundoffs of these expressions.

    gradient: one expression for every input, or one for each input by its name.
    """

    value: str | float | None = None
    gradient: str | float | dict[str, str | float] | None = None

    def of_gradient(self, name: str) -> str | None:
        """The expression for the gradient in an input; None without slack."""
        found = self.gradient.get(name) if isinstance(self.gradient, dict) else self.gradient
        return None if found is None else str(found)


class Scale(StrEnum):
    """How the values of an axis are spread, and how it is drawn."""

    LOG = "log"
    LINEAR = "linear"
    SYMLOG = "symlog"  # log on both sides of 0


class PlaneAxis(Part):
    """One of the two magnitudes of a plane: `steps` values from end to end of `range`.

    least: of a symlog axis, the smallest magnitude beside 0.
    """

    name: str
    range: tuple[float, float]
    steps: int
    scale: Scale = Scale.LOG
    least: float | None = None


Entry = str | float
_Row = tuple[Entry, ...]
_Table = tuple[_Row, ...]
Entries = Entry | _Row | _Table | tuple[_Table, ...]
"""The entries of an input at one point of a plane, nested as its shape: expressions of x and y."""


class Plane(Part):
    """The two magnitudes over which the stability of a loss is drawn, and the inputs that have them.

    text: one sentence, what the inputs are. inputs: for each input its entries at a point, without the axis of
    independent rows, along which the points stand. parameters: numbers, as expressions of x and y.
    """

    text: str
    x: PlaneAxis
    y: PlaneAxis
    inputs: dict[str, Entries]
    parameters: dict[str, Entry] = Field(default_factory=dict)


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

LawOrText = Annotated[Law, BeforeValidator(lambda law: {"law": law} if isinstance(law, str) else law)]
"""A law; a plain string is its expression."""


class Spec(Part):
    """One loss: inputs in their positional order, parameters, definition, laws."""

    loss: Name
    title: str
    cite: str | None = None
    text: str | None = None
    inputs: dict[str, Input]
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    independent: str | None = None
    let: dict[str, str] = Field(default_factory=dict)
    definition: str
    excuse: dict[str, str] = Field(default_factory=dict)
    slack: Slack = Slack()
    laws: dict[str, LawOrText] = Field(default_factory=dict)
    plane: Plane | None = None
    _source: Source | None = PrivateAttr(default=None)

    @property
    def path(self) -> str | None:
        """The file that holds the spec."""
        return self._source.file if self._source else None

    @property
    def unchanged(self) -> bool:
        """Whether the file that holds the spec is still as it was read."""
        try:
            return self._source is None or text(Path(self._source.file)) == self._source.content
        except SpecError:
            return False

    def place(self, *path: str) -> Place | None:
        """Where a key stands, such as `place("laws", "nonnegative")`; None for a spec that no file holds."""
        return self._source.key(*path) if self._source else None

    def locate(self, path: Keys, error: ExpressionError) -> ExpressionError:
        """The error of an expression with its place: its `at` counts inside the value of the key."""
        if self._source is not None and error.place is None:
            error.place = self._source.inside(path, error.at) if error.at else self._source.value(*path)
        return error

    def defaults(self) -> dict[str, Any]:
        """Every parameter at its default."""
        return {name: parameter.default for name, parameter in self.parameters.items()}
