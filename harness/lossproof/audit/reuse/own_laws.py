"""Which laws of a user's own spec are false of its definition; the bundled specs are proved in the tests."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import asdict

import pydantic

from lossproof.audit.prove import Proof, prove_law
from lossproof.audit.reuse.cell_cache import specs_of
from lossproof.audit.reuse.sources import content_of
from lossproof.audit.reuse.store import Store, digest, folder
from lossproof.audit.reuse.surroundings import Surroundings
from lossproof.implementation import Implementation
from lossproof.inputs import PROFILES
from lossproof.spec import library

SCHEMA = 1
"""The version of an entry's form."""

LIMIT = 2**20
"""Bytes of the folder in which proofs are kept."""


def false_laws(implementation: Implementation, around: Surroundings | None = None) -> tuple[Proof, ...]:
    """The laws of an implementation's spec to which it cannot be held, each with a counterexample.

    around: where the proofs are kept from run to run, in which surroundings.
    """
    if not implementation.spec:
        return ()
    # its path and its lines are told with a law
    path = library.get(implementation.loss).path
    content = digest([specs_of(implementation.loss), path, content_of(implementation.spec)])
    return _false_laws(implementation.loss, content, None if around is None else around.digest)


def all_false_laws(
    implementations: Iterable[Implementation], around: Surroundings | None
) -> dict[str, tuple[Proof, ...]]:
    """The false laws of each loss that has any."""
    first = {i.loss: i for i in implementations}
    found = {loss: false_laws(i, around) for loss, i in first.items()}
    return {loss: proofs for loss, proofs in found.items() if proofs}


@functools.lru_cache(maxsize=64)
def _false_laws(loss: str, content: str, around: str | None) -> tuple[Proof, ...]:
    store = Store(None if around is None else folder("laws", str(SCHEMA)), LIMIT)
    key = digest([loss, content, around])
    try:
        return _proofs().validate_python(store.read(key))
    except pydantic.ValidationError:
        pass
    spec = library.get(loss)
    proofs = (prove_law(spec, name, PROFILES["quick"], 0) for name in spec.laws)
    found = tuple(proof for proof in proofs if proof.verdict == "false")
    store.write(key, [asdict(proof) for proof in found])
    store.prune()
    return found


@functools.cache
def _proofs() -> pydantic.TypeAdapter[tuple[Proof, ...]]:
    return pydantic.TypeAdapter(tuple[Proof, ...])
