"""Cells examined for items of pytest: each when its first item runs, then kept for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossproof.audit.plan import Options, Plan, cells_of
from lossproof.audit.results import Run, Verdict, blamed
from lossproof.audit.reuse.own_laws import false_laws
from lossproof.audit.run import run
from lossproof.implementation import Implementation
from lossproof.pytest_plugin.options import Asked
from lossproof.report import complaint, digest
from lossproof.waivers import Waiver

if TYPE_CHECKING:
    from lossproof.pytest_plugin.collect import Setting


@dataclass(frozen=True)
class Cell:
    """What was found in a cell. false: laws that are false of their own definition, and what that says."""

    run: Run
    false: dict[str, str]

    def outcome(self, check: str, fail_on: str) -> tuple[str, str]:
        """What pytest makes of a check, and what there is to say: pass, fail, skip or waived."""
        if check in self.false:
            return "fail", self.false[check]
        rows = [row for row in self.run.results if row.check == check]
        whole = digest.digest(rows)
        if whole is None:
            problems = "; ".join(f"{each.where}: {each.message}" for each in self.run.problems)
            return ("fail", problems) if problems else ("skip", "no case to which the check applies")
        if whole.verdict in blamed(fail_on):
            return "fail", complaint.of_rows(self.run, rows, fail_on)
        if whole.verdict is Verdict.SKIP:
            return "skip", whole.reason or "no reason was given"
        if waived := [row for row in rows if row.verdict is Verdict.WAIVED]:
            return "waived", waived[0].reason or "waived"
        return "pass", ""


class Cells:
    """Examines cells, with waivers of the user's own."""

    def __init__(self, asked: Asked, accepted: Sequence[Waiver]) -> None:
        self._asked, self._waivers = asked, tuple(accepted)
        self._known: dict[tuple[str, str, str, Setting], Cell] = {}

    def __call__(
        self, implementation: Implementation, declared: Sequence[Implementation], setting: Setting
    ) -> tuple[Cell, bool]:
        """A cell, and whether it has just been examined."""
        key = (implementation.name, implementation.loss, implementation.framework, setting)
        if key in self._known:
            return self._known[key], False
        options = Options(
            devices=(setting.device,), modes=(setting.mode,), dtypes=(setting.dtype,),
            profile=self._asked.profile, seed=self._asked.seed, jobs=1,
            waivers=self._waivers, fail_on=self._asked.fail_on,
        )  # fmt: skip
        plan = Plan(options, cells_of(implementation, options), list(declared))
        found = run(plan, lambda event: None)
        false = {
            f"law:{proof.law}": f"{proof.place or proof.loss}: {proof.falsehood}"
            for proof in false_laws(implementation)
        }
        cell = self._known[key] = Cell(found, false)
        return cell, True
