"""Which part each input of a spec plays; the regimes are chosen by that, never by a loss's name."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum

from lossproof.inputs.sizes import dimension_names
from lossproof.spec.graph import Key
from lossproof.spec.model import Domain, Spec


class Family(StrEnum):
    """What the regimes of a spec shape."""

    LOGITS = "logits"  # scores of classes along the last axis
    PROBABILITIES = "probabilities"
    LOG_PROBABILITIES = "log_probabilities"
    EMBEDDINGS = "embeddings"  # vectors, whose directions and distances count
    REALS = "reals"  # numbers or vectors without classes
    PLAIN = "plain"  # whatever has no regimes of its own


@dataclass(frozen=True)
class Anatomy:
    """The parts of a spec's inputs.

    main: the inputs that the regimes shape. labels: class indices. targets: distributions beside logits.
    plain: the remaining inputs, drawn by their domain alone. classes: the dimension of the classes or
    features, None where the main inputs have no axis beside the rows. labelled: the dimension that class
    indices count. extended: the main inputs may hold −inf.
    """

    family: Family
    main: tuple[str, ...]
    labels: tuple[str, ...]
    targets: tuple[str, ...]
    plain: tuple[str, ...]
    dims: tuple[str, ...]
    classes: str | None
    labelled: str | None
    extended: bool
    independent: str | None

    @property
    def least_rows(self) -> int:
        """Losses that compare the vectors of a batch with each other need two rows."""
        return 2 if self.family == Family.EMBEDDINGS and self.independent is None else 1


def anatomy(spec: Spec) -> Anatomy:
    """The parts that the inputs of a spec play."""
    return _anatomy(Key(spec))


@functools.lru_cache(maxsize=256)
def _anatomy(key: Key) -> Anatomy:
    spec = key.spec
    by_domain: dict[Domain, list[str]] = {}
    for name, part in spec.inputs.items():
        by_domain.setdefault(part.domain, []).append(name)

    def named(domain: Domain) -> tuple[str, ...]:
        return tuple(by_domain.get(domain, ()))

    labels, distributions = named(Domain.CLASS_INDEX), named(Domain.PROBABILITY)
    scores = tuple(n for n in spec.inputs if spec.inputs[n].domain in (Domain.REAL, Domain.EXTENDED_REAL))
    family, main, targets = Family.PLAIN, (), ()  # type: tuple[Family, tuple[str, ...], tuple[str, ...]]
    if named(Domain.EMBEDDING):
        family, main = Family.EMBEDDINGS, named(Domain.EMBEDDING)
    elif scores and _classes_along_last_axis(spec, scores):
        family, main, targets = Family.LOGITS, scores, distributions
    elif named(Domain.LOG_PROBABILITY):
        family, main, targets = Family.LOG_PROBABILITIES, named(Domain.LOG_PROBABILITY), distributions
    elif scores:
        family, main = Family.REALS, scores
    elif distributions:
        family, main = Family.PROBABILITIES, distributions
    if family != Family.EMBEDDINGS:
        main = tuple(n for n in main if spec.inputs[n].shape == spec.inputs[main[0]].shape)
    first = spec.inputs[main[0]] if main else next(iter(spec.inputs.values()))
    last = first.shape[-1] if len(first.shape) >= 2 else None
    classes = last if isinstance(last, str) and last.isidentifier() else None
    return Anatomy(
        family=family,
        main=main,
        labels=labels,
        targets=targets,
        plain=tuple(n for n in spec.inputs if n not in (*main, *labels, *targets)),
        dims=dimension_names(part.shape for part in spec.inputs.values()),
        classes=classes,
        labelled=classes if family != Family.EMBEDDINGS else _rows_beside(spec, main, labels),
        extended=bool(main) and all(spec.inputs[n].domain == Domain.EXTENDED_REAL for n in main),
        independent=spec.independent,
    )


def _rows_beside(spec: Spec, main: tuple[str, ...], labels: tuple[str, ...]) -> str | None:
    """The rows of vectors, one for each class, that labels choose among: those that are not the labels' own."""
    own = {dim for name in labels for dim in spec.inputs[name].shape}
    dims = [dim for name in main for dim in spec.inputs[name].shape[:-1] if dim not in own]
    return next((dim for dim in dims if labels and isinstance(dim, str) and dim.isidentifier()), None)


def _classes_along_last_axis(spec: Spec, scores: tuple[str, ...]) -> bool:
    """Scores are logits where −inf is legal, beside labels or a distribution, or alone; else vectors."""
    if len(spec.inputs[scores[0]].shape) < 2:
        return False
    if any(spec.inputs[n].domain == Domain.EXTENDED_REAL for n in scores):
        return True
    others = {part.domain for part in spec.inputs.values()}
    return bool(others & {Domain.CLASS_INDEX, Domain.PROBABILITY}) or len(spec.inputs) == 1
