"""Everything about a spec that can be checked before a case is drawn: shapes, kinds, names, derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lossproof.errors import ExpressionError
from lossproof.expression import primitives as p
from lossproof.expression.size import Size, show
from lossproof.spec import graph
from lossproof.spec.law_graph import applies, law_graph
from lossproof.spec.model import Spec
from lossproof.spec.plane import entries
from lossproof.spec.source import Keys as KeyPath


def problems(spec: Spec) -> Iterator[tuple[KeyPath, ExpressionError]]:
    """What is wrong with a spec's expressions: the path of the key, and the error with `at` inside its text.

    Every combination of choices is tried, since each is a graph of its own; one error is given for each key.
    """
    reported: set[KeyPath] = set()
    for statics in graph.all_statics(spec):
        for path, build in _steps(spec, statics):
            if path in reported:
                continue
            try:
                build()
            except ExpressionError as error:
                reported.add(path)
                yield path, error
                if path == ("definition",):
                    return


def _steps(spec: Spec, statics: graph.Statics) -> Iterator[tuple[KeyPath, Callable[[], object]]]:
    yield ("definition",), lambda: _real(spec, statics)
    if any(i.is_real and i.differentiable for i in spec.inputs.values()):
        yield ("definition",), lambda: graph.gradient(spec, statics)
    for name in spec.let:
        yield ("let", name), lambda name=name: graph.aside(spec, statics, name)  # type: ignore[misc]
    for name, declared in spec.inputs.items():
        if declared.unread is not None:
            yield ("inputs", name, "unread"), lambda name=name: _unread(spec, statics, name)  # type: ignore[misc]
    for name, text in spec.excuse.items():
        yield ("excuse", name), lambda text=text: graph.aside(spec, statics, text)  # type: ignore[misc]
    for path, text, target in _slack(spec):
        yield path, lambda text=text, target=target: _fitting(spec, statics, text, target)  # type: ignore[misc]
    for path, text in entries(spec):
        yield path, lambda text=text: graph.of_point(text)  # type: ignore[misc]
    for name, law in spec.laws.items():
        yield (
            ("laws", name),
            lambda name=name, law=law: (  # type: ignore[misc]
                law_graph(spec, name, statics) if applies(law, statics) else None
            ),
        )


def _slack(spec: Spec) -> Iterator[tuple[KeyPath, str, str | None]]:
    """Each expression of the slack, with the input in whose gradient it is; None for the value."""
    if spec.slack.value is not None:
        yield ("slack", "value"), str(spec.slack.value), None
    own = isinstance(spec.slack.gradient, dict)
    for name, declared in spec.inputs.items():
        text = spec.slack.of_gradient(name)
        if text is not None and declared.is_real and declared.differentiable:
            yield ("slack", "gradient", *((name,) if own else ())), text, name


def _fitting(spec: Spec, statics: graph.Statics, text: str, target: str | None) -> None:
    """Raises ExpressionError for a slack that does not broadcast to the result, or to the input that it is for."""
    found = graph.aside(spec, statics, text).shape
    whole = (graph.definition(spec, statics) if target is None else graph.leaves(spec, statics)[target]).shape
    padded = (*(None,) * (len(whole) - len(found)), *found)
    one = Size.of(1)
    if len(found) > len(whole) or any(a not in (None, one, b) for a, b in zip(padded, whole, strict=True)):
        of = "the result" if target is None else target
        raise ExpressionError(f"a slack of shape {show(found)} does not fit {of}, {show(whole)}", at=(1, 1))


def _unread(spec: Spec, statics: graph.Statics, name: str) -> None:
    declared = spec.inputs[name]
    node = graph.condition(spec, statics, declared.unread or "")
    expected = graph.sizes(declared.shape)
    if node.shape != expected[: len(node.shape)]:
        raise ExpressionError(
            f"a condition on entries of '{name}' has the shape {show(expected)} or its first axes, "
            f"not {show(node.shape)}",
            at=(1, 1),
        )


def _real(spec: Spec, statics: graph.Statics) -> None:
    node = graph.definition(spec, statics)
    if node.kind == "boolean":
        raise ExpressionError("a definition is a number, not a condition", at=(1, 1))
    p.real(node)
