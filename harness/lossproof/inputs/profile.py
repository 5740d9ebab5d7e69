"""How much is drawn: the profiles quick, standard and deep.

Shapes come from small pools: each new one costs a compiling framework 20 ms for every operation in eager mode, and 100
to 300 ms for a whole function. So calls share their numbers of rows, which are no multiple of the blocks in which code
may work, and which losses share because they share operations.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """batches: cases per regime. laws: cases per law. shapes: pairs of rows and classes (or features).

    many_classes: the classes of the regime "many classes", which has one batch of one row. extra: sizes of
    dimensions that are neither rows nor classes. all_forward: whether forward mode is looked at in every mode and
    shape, or in eager mode and the first shape's classes alone. deep: whether the search is driven towards the
    worst case. compiled: the shapes in compiled mode. coupled: those of cases whose rows are coupled, each of which
    is a call of its own. of_laws: those of the laws' cases; all three are `shapes` where empty. pool: the numbers of
    rows to which a call for many cases is filled up. pointwise: whether stability maps of which each point is a call of
    its own are made everywhere, or neither in half formats nor where each operation compiles. optimised: whether
    compiled mode compiles as users do, or with few optimisations in processes of lossproof's own.
    """

    name: str
    batches: int
    laws: int
    shapes: tuple[tuple[int, int], ...]
    many_classes: int
    extra: tuple[int, ...] = (3, 2)
    all_forward: bool = True
    deep: bool = False
    compiled: tuple[tuple[int, int], ...] = ()
    coupled: tuple[tuple[int, int], ...] = ()
    of_laws: tuple[tuple[int, int], ...] = ()
    pool: tuple[int, ...] = (67,)
    pointwise: bool = True
    optimised: bool = True


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            "quick",
            batches=4,
            laws=6,
            shapes=((5, 3), (5, 2)),
            many_classes=2003,
            all_forward=False,
            compiled=((5, 3),),
            coupled=((67, 3),),
            of_laws=((5, 3),),
            pointwise=False,
            optimised=False,
        ),
        Profile(
            "standard",
            batches=8,
            laws=16,
            shapes=((8, 5), (5, 2), (1, 10), (3, 33), (67, 3)),
            many_classes=8191,
            compiled=((8, 5), (5, 2), (67, 3)),
            coupled=((8, 5), (5, 2), (1, 10), (67, 3)),
            of_laws=((8, 5), (5, 2)),
            pool=(67, 1031),
        ),
        Profile(
            "deep",
            batches=40,
            laws=64,
            shapes=((8, 2), (8, 3), (8, 5), (3, 10), (3, 33), (1, 2), (1, 100), (16, 7), (2, 128), (131, 3)),
            many_classes=128256,
            deep=True,
            compiled=((8, 2), (8, 3), (3, 33), (1, 2), (131, 3)),
            of_laws=((8, 2), (8, 3), (8, 5), (3, 10), (3, 33), (1, 2)),
            pool=(67, 1031),
        ),
    )
}
