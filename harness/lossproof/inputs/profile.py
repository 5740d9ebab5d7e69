"""How much is drawn: the profiles quick, standard and deep.

Shapes come from small pools: each new shape costs a compiling framework 200 to 600 ms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """batches: cases per regime. laws: cases per law. shapes: pairs of rows and classes (or features).

    many_classes: the classes of the regime "many classes", which has one batch of one row. extra: sizes of
    dimensions that are neither rows nor classes. deep: whether the search is driven towards the worst case.
    """

    name: str
    batches: int
    laws: int
    shapes: tuple[tuple[int, int], ...]
    many_classes: int
    extra: tuple[int, ...] = (3, 2)
    deep: bool = False


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("quick", batches=4, laws=6, shapes=((5, 3), (1, 2)), many_classes=1003),
        Profile(
            "standard",
            batches=8,
            laws=16,
            shapes=((8, 5), (5, 2), (1, 10), (3, 33), (67, 3)),
            many_classes=8191,
        ),
        Profile(
            "deep",
            batches=40,
            laws=64,
            shapes=((8, 2), (8, 3), (8, 5), (3, 10), (3, 33), (1, 2), (1, 100), (16, 7), (2, 128), (131, 3)),
            many_classes=128256,
            deep=True,
        ),
    )
}
