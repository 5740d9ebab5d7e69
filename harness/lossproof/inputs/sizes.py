"""Sizes of named dimensions, and of sums and products of them such as `V + 1`."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping

from lossproof.errors import SpecError
from lossproof.spec.model import Dim, Shape


def dimension_names(shapes: Iterable[Shape]) -> tuple[str, ...]:
    """Every name in the shapes, in order of appearance."""
    found: dict[str, None] = {}
    for shape in shapes:
        for dim in shape:
            if isinstance(dim, str):
                nodes = ast.walk(_parsed(dim))
                found.update(dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name)))
    return tuple(found)


def size(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The number of entries along a dimension. Raises SpecError for a name without a size."""
    if isinstance(dim, int):
        return dim
    if dim in sizes:
        return sizes[dim]
    return _evaluate(_parsed(dim), sizes, dim)


def extent(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape in numbers."""
    return tuple(size(dim, sizes) for dim in shape)


@functools.lru_cache(maxsize=256)
def _parsed(dim: str) -> ast.expr:
    return ast.parse(dim, mode="eval").body


def _evaluate(node: ast.expr, sizes: Mapping[str, int], text: str) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name) if name in sizes:
            return sizes[name]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _evaluate(left, sizes, text) + _evaluate(right, sizes, text)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _evaluate(left, sizes, text) - _evaluate(right, sizes, text)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _evaluate(left, sizes, text) * _evaluate(right, sizes, text)
    raise SpecError(f"the dimension '{text}' is not a sum or product of known sizes ({', '.join(sizes)})")
