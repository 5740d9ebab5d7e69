"""One accepted defect, and which results it is about."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from lossproof.errors import ExpressionError, Place, UsageError
from lossproof.spec.source import Keys, Source


class Waiver(BaseModel):
    """One accepted defect.

    checks: names, with `*` as in file names. where: an expression over the spec's inputs and parameters, true where the
    defect shows (isfinite is false at a nan); rows where it is false are judged as ever. bits: the most bits lost that
    are accepted, None for any. expires: the last day on which it is in force. case: the minimal case, for the reader.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    implementation: str
    loss: str
    checks: tuple[str, ...]
    dtypes: tuple[str, ...] | None = None
    where: str | None = None
    bits: float | None = None
    reason: str
    link: str | None = None
    since: datetime.date | None = None
    expires: datetime.date
    case: dict[str, Any] = Field(default_factory=dict)
    _place: Place | None = PrivateAttr(None)
    _source: tuple[Source, Keys] | None = PrivateAttr(None)

    @property
    def place(self) -> Place | None:
        """Where it stands in its file; no part of what it says, so that moving it changes no result."""
        return self._place

    @property
    def in_force(self) -> bool:
        """Whether it has not expired."""
        return datetime.date.today() <= self.expires

    @property
    def subject(self) -> str:
        """`"my_losses.my_kl (kl_divergence), gradient in float32"`."""
        dtypes = f" in {', '.join(self.dtypes)}" if self.dtypes else ""
        return f"{self.implementation} ({self.loss}), {', '.join(self.checks)}{dtypes}"

    def misread(self, error: ExpressionError) -> UsageError:
        """What is wrong with its `where`, with the place in the file."""
        place = self._place
        if self._source is not None:
            source, path = self._source
            path = (*path, "where")
            place = source.inside(path, error.at) if error.at else source.value(*path)
        return UsageError(f"'where' of the waiver for {self.subject}: {error.message}", place)

    def is_about(self, implementation: str, loss: str, check: str, dtype: str) -> bool:
        """Whether the waiver is about this implementation, loss, check and dtype, in force or not."""
        return (
            self.implementation == implementation
            and self.loss == loss
            and any(fnmatch.fnmatchcase(check, pattern) for pattern in self.checks)
            and (self.dtypes is None or dtype in self.dtypes)
        )

    def covers(self, implementation: str, loss: str, check: str, dtype: str) -> bool:
        """Whether the waiver is about this, and is in force."""
        return self.is_about(implementation, loss, check, dtype) and self.in_force

    def accepts(self, bits: float | None) -> bool:
        return self.bits is None or (bits is not None and bits <= self.bits)


def covering(
    waivers: Iterable[Waiver], implementation: str, loss: str, check: str, dtype: str
) -> list[Waiver]:
    return [w for w in waivers if w.covers(implementation, loss, check, dtype)]
