"""From the failures of a cell to the kind of mistake behind each of its findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lossproof.audit.results import Diagnosis, Verdict
from lossproof.checks import accuracy, gradient
from lossproof.checks.cell import Cell
from lossproof.checks.observation import Observation
from lossproof.diagnosis import (
    clipping,
    conventions,
    derivatives,
    exchanges,
    extremes,
    pairs,
    ratios,
    roundings,
    saturation,
)
from lossproof.diagnosis.samples import ENOUGH, Facet, Sample, ordinary_cases
from lossproof.inputs.case import Case

Failures = Mapping[str, Sequence[tuple[Case, Observation]]]
"""By check, the cases on which it failed, with what it saw."""

UNEXPLAINED = Diagnosis("unexplained", "no evidence for a particular kind of mistake")

Suspicion = Callable[[Facet, list[Sample]], Diagnosis | None]

OF_VALUES: tuple[Suspicion, ...] = (
    roundings.low_precision,
    conventions.another,
    exchanges.exchanged,
    exchanges.along_another_axis,
    ratios.factor,
    ratios.constant,
    ratios.power,
    saturation.softened,
    clipping.clipped,
    exchanges.coupled,
)

OF_GRADIENTS: tuple[Suspicion, ...] = (
    roundings.low_precision,
    derivatives.cotangent,
    derivatives.left_out,
    derivatives.zero,
    ratios.factor,
    conventions.another,
    exchanges.exchanged,
    exchanges.gradients_exchanged,
    derivatives.detached,
    clipping.clipped,
    exchanges.coupled,
)


def _without_zeros(samples: list[Sample]) -> list[Sample]:
    """Gradients without those inputs whose gradient is 0 throughout, where the others are wrong too."""
    names = [name for name in samples[0].got if any(sample.got[name].any() for sample in samples)]
    if not any(sample.wrong(name).any() for sample in samples for name in names):
        return samples
    return [
        replace(s, got={n: s.got[n] for n in names}, truth={n: s.truth[n] for n in names}) for s in samples
    ]


TRIED = 8
"""So many failing cases are looked at for what ordinary inputs do not show."""


BESIDE = 2.0**-4
"""So far from its default a parameter changes a formula, and no rounding."""


class Inquiry:
    """Diagnoses the findings of one cell; what has been found about its values serves every check that asks."""

    def __init__(self, cell: Cell, failures: Failures) -> None:
        self.cell, self.failures = cell, failures
        self._of_accuracy: Diagnosis | None = None
        self._found: dict[tuple[bool, tuple[object, ...]], Diagnosis | None] = {}

    def of(self, check: str, case: Case, seen: Observation) -> Diagnosis:
        """The kind of mistake behind a failed check at a case."""
        with np.errstate(all="ignore"):
            return self._of_check(check, case, seen)

    def _of_check(self, check: str, case: Case, seen: Observation) -> Diagnosis:
        if seen.verdict is Verdict.ERROR:
            return Diagnosis("raises", seen.reason or "the implementation raised")
        if check == "shape_and_dtype":
            return self._of_shape(case, seen)
        if check in ("purity", "determinism"):
            return Diagnosis(check, seen.reason or "")
        if "determinism" in self.failures:
            _, other = self.failures["determinism"][0]
            return Diagnosis("determinism", other.reason or "the same call gives another result")
        if check == "batch_independence":
            return self._value(case) or Diagnosis("batch coupled", seen.reason or "")
        if check.startswith("law:"):
            return self._of_law(case)
        return self._of_facet(check, case, seen) or UNEXPLAINED

    def _of_facet(self, check: str, case: Case, seen: Observation) -> Diagnosis | None:
        of_gradient = check == gradient.NAME or seen.quantity.startswith("gradient")
        if not of_gradient or seen.quantity == "value while differentiated":
            found = self._value(case)
            if check == accuracy.NAME:
                if found is None:
                    tried = (self._value(other) for other, _ in self.failures.get(check, ())[:TRIED])
                    found = next((each for each in tried if each is not None), None)
                self._of_accuracy = found
            return found or (self._of_accuracy if check == "finiteness" else None)
        if accuracy.NAME in self.failures and not self._value_right(case):
            # a derivative follows its value
            found = self._of_accuracy or self._value(self.failures[accuracy.NAME][0][0]) or self._value(case)
            if found is not None:
                return found
            # what is unexplained about the value shows in its derivative, but for what only a derivative has
            found = self._gradient(case)
            return found if found is not None and found.kind == "nan from 0*inf" else None
        return self._gradient(case)

    def _value_right(self, case: Case) -> bool:
        sample = Facet(self.cell, gradient=False).sample(case)
        return sample is not None and sample.all_right

    def _usual(self, facet: Facet, case: Case, share: float = 0.0) -> bool:
        """Whether ordinary results are right where numbers among the parameters have their defaults.

        share: so far from them towards those of the case.
        """
        spec = self.cell.spec
        numbers = {
            name: parameter.default
            if not share or parameter.default is None or case.parameters[name] is None or parameter.integer
            else parameter.default + share * (case.parameters[name] - parameter.default)
            for name, parameter in spec.parameters.items()
            if parameter.kind == "number" and name in self.cell.implementation.free
        }
        if all(case.parameters[name] == value for name, value in numbers.items()):
            return False
        samples = self._samples(facet, replace(case, parameters={**case.parameters, **numbers}))
        return bool(samples) and all(sample.all_right for sample in samples)

    def _of_law(self, case: Case) -> Diagnosis:
        if self._of_accuracy is not None:
            return self._of_accuracy
        for check in (accuracy.NAME, gradient.NAME, "finiteness"):
            for failing, seen in self.failures.get(check, ())[:1]:
                found = self._of_facet(check, failing, seen)
                if found is not None:
                    return found
        found = self._value(case) or self._gradient(case)
        return found or Diagnosis(
            "unexplained", "a law does not hold, where value and gradient tell nothing more"
        )

    def _of_shape(self, case: Case, seen: Observation) -> Diagnosis:
        reason = seen.reason or ""
        facet = Facet(self.cell, gradient=False)
        samples = self._samples(facet, case)
        if len(samples) >= 2 and not all(sample.fits for sample in samples):
            found = conventions.another(facet, samples)
            found = found or conventions.of_all_rows(facet, samples)
            return found or Diagnosis("wrong shape", reason)
        return Diagnosis("wrong dtype" if "dtype" in reason or "float" in reason else "wrong shape", reason)

    def _value(self, case: Case) -> Diagnosis | None:
        return self._of(False, case)

    def _gradient(self, case: Case) -> Diagnosis | None:
        return self._of(True, case)

    def _samples(self, facet: Facet, case: Case) -> list[Sample]:
        found = (facet.sample(each) for each in ordinary_cases(self.cell, case))
        return [sample for sample in found if sample is not None]

    def _of(self, of_gradient: bool, case: Case) -> Diagnosis | None:
        key = of_gradient, case.fingerprint
        if key not in self._found:
            self._found[key] = self._asked(of_gradient, case)
        return self._found[key]

    def _asked(self, of_gradient: bool, case: Case) -> Diagnosis | None:
        facet = Facet(self.cell, of_gradient)
        samples = self._samples(facet, case)
        fit = bool(samples) and all(sample.fits for sample in samples)
        habit, usual = fit and any(not sample.all_right for sample in samples), False
        if habit:
            samples = _without_zeros(samples) if of_gradient else samples
            for suspicion in OF_GRADIENTS if of_gradient else OF_VALUES:
                found = suspicion(facet, samples)
                if found is not None:
                    return found
            usual = self._usual(facet, case)
            formula = self._formula(facet, samples)
            if formula is not None and not usual:
                return (
                    conventions.built_in(facet, samples)
                    or pairs.exchanged_and_scaled(facet, samples)
                    or formula
                )
        failing = facet.sample(case)
        if failing is not None and failing.fits and not failing.all_right:
            found = extremes.at_extremes(facet, failing)
            if found is not None:
                return found
        if "batch_independence" in self.failures and not of_gradient:
            return Diagnosis("batch coupled", self.failures["batch_independence"][0][1].reason or "")
        # right beside the defaults as well: what ordinary inputs show is then how far a parameter went
        if not habit or (usual and self._usual(facet, case, BESIDE)):
            return None
        return self._formula(facet, samples, rare=True) or self._epsilon(facet, samples)

    def _formula(self, facet: Facet, samples: list[Sample], rare: bool = False) -> Diagnosis | None:
        """Ordinary results are wrong by far more than any rounding, and nothing more particular fits.

        rare: a few of them are enough.
        """
        wrong = total = 0
        worst = 0.0
        for sample in samples:
            for name, got in sample.got.items():
                truth = sample.truth[name]
                bad = sample.wrong(name)
                if not np.isfinite(got[bad]).all():
                    return None
                wrong, total = wrong + int(bad.sum()), total + int(truth.known.sum())
                size = float(np.abs(truth.middle[truth.known]).max(initial=0.0))
                off = np.abs(got - truth.middle).astype(np.float64)[bad]
                worst = max(worst, float(off.max(initial=0.0)) / size if size else 0.0)
        few = ENOUGH if rare else max(ENOUGH, total / 4)
        if wrong < few or worst < 0.01 or not roundings.smooth(facet, samples):
            return None
        kind = "another derivative" if facet.gradient else "another formula"
        what = "gradient" if facet.gradient else "value"
        return Diagnosis(
            kind,
            f"the {what} is off at {wrong} of {total} ordinary results, by up to {worst:.2g} of the largest, and "
            "smoothly so: no rounding, and no choice, factor or exchange that was tried fits",
        )

    def _epsilon(self, facet: Facet, samples: list[Sample]) -> Diagnosis | None:
        """Small errors that are smooth: something is added that ought not to be there."""
        off, relative = map(np.concatenate, zip(*map(roundings.errors, samples), strict=True))
        wrong = sum(int(sample.wrong(name).sum()) for sample in samples for name in sample.got)
        worst = float(np.abs(relative).max(initial=0.0))
        # a constant that is held in float32 is as smooth
        least = 2.0**-22 if facet.cell.dtype == "float64" else 0.0
        if wrong < ENOUGH or wrong < off.size / 4 or not least < worst < 1e-2 or facet.gradient:
            return None
        if not roundings.smooth(facet, samples):
            return None
        return Diagnosis(
            "epsilon added",
            f"the value is off by at most {worst:.2g} of it at ordinary inputs, and smoothly so: no rounding, but "
            "something small that is added or clipped to",
        )
