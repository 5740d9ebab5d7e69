"""Makes what the report draws with: two Vega-Lite specifications, by Altair, and Vega's bundle, by vl-convert.

Both are kept in reports/templates, so that a report needs neither library and no network. `make charts` runs this
after a change here or of the versions in constraints-dev.txt; a test holds the files to it. script/charts.js fills in
data, sizes and the colours of the theme.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

TEMPLATES = Path(__file__).parent / "templates"

# Bits lost: within 3, where a result passes, green; beyond that from yellow over red to nearly black, darker all the
# way, so that it reads without its hues. The dark theme goes from dark to light in the same way.
STOPS = [0, 3, 3.0001, 8, 17, 53]
LIGHT = ["#eaf5ef", "#b4dfc9", "#f6cd61", "#ee9034", "#cf3d34", "#4b0d35"]
DARK = ["#16372b", "#2b6a50", "#8a6a14", "#d5812f", "#f2786a", "#ffd9e6"]
BITS = alt.Scale(type="linear", domain=STOPS, range=LIGHT, clamp=True)
META = {"dark": DARK}
HEADER = alt.Header(labelLimit=300, labelExpr="split(datum.label, ' · ')")  # the setting below the name


def _axis(title: str, ticks: str, **more: Any) -> alt.Axis:
    """An axis of positions, whose ticks and labels are parameters: the scales of the magnitudes differ."""
    values = alt.ExprRef(f"{ticks}_at")
    return alt.Axis(
        title=title, values=values, labelExpr=f"{ticks}_text[indexof({ticks}_at, datum.value)]", **more
    )


def _parameters(*names: str) -> list[alt.Parameter]:
    return [alt.param(name=f"{name}_{part}", value=[]) for name in names for part in ("at", "text")]


def stability() -> alt.FacetChart:
    """Bits lost over a plane of two magnitudes, a panel for each implementation.

    Rows of data: kind cell with i, j (column, row), bits or mark (a symbol), x, y, told; kind edge with i, j, order and
    run.
    """
    x = alt.X("i:Q", axis=_axis("x", "x", grid=False), scale=alt.Scale(domain=[0, 1], nice=False, zero=False))
    y = alt.Y("j:Q", axis=_axis("y", "y", grid=False), scale=alt.Scale(domain=[0, 1], nice=False, zero=False))
    tooltip = [
        alt.Tooltip("panel:N", title="implementation"),
        alt.Tooltip("x:N"),
        alt.Tooltip("y:N"),
        alt.Tooltip("told:N", title="bits lost"),
    ]
    base = (
        alt.Chart()
        .transform_filter("datum.kind == 'cell'")
        .transform_calculate(i2="datum.i + 1", j2="datum.j + 1")
    )
    cells = (
        base.transform_filter("isValid(datum.bits)")
        .mark_rect(stroke=None)
        .encode(
            x=x,
            y=y,
            x2="i2",
            y2="j2",
            color=alt.Color(
                "bits:Q",
                scale=BITS,
                legend=alt.Legend(
                    title="bits lost",
                    orient="top",
                    gradientLength=220,
                    values=[0, 3, 8, 17, 30, 53],
                    tickCount=6,
                ),
            ),
            tooltip=tooltip,
        )
    )
    marked = base.transform_filter("isValid(datum.mark)").transform_calculate(
        ci="datum.i + 0.5", cj="datum.j + 0.5"
    )
    dark = marked.mark_rect(fill="#23262d", stroke=None).encode(x=x, y=y, x2="i2", y2="j2", tooltip=tooltip)
    symbols = marked.mark_text(fill="#ffffff", fontSize=10, fontWeight="bold").encode(
        x="ci:Q", y="cj:Q", text="mark:N", tooltip=tooltip
    )
    edge = (
        alt.Chart()
        .transform_filter("datum.kind == 'edge'")
        .mark_line(stroke="#1f5fd0", strokeWidth=2.5, strokeJoin="round")
        .encode(x="i:Q", y="j:Q", order="order:Q", detail="run:N")
    )
    return (
        alt.layer(cells, dark, symbols, edge, data=alt.NamedData("rows"))
        .properties(width=220, height=200)
        .facet(facet=alt.Facet("panel:N", title=None, sort=None, header=HEADER), columns=1)
        .add_params(*_parameters("x", "y"))
        .properties(usermeta=META)
    )


def tolerance() -> alt.FacetChart:
    """Errors as multiples of the attainable error, by regime, a panel for each implementation.

    Rows of data: panel, regime, at (the position), bits (for the colour), share (of the elements), told.
    """
    x = alt.X(
        "at:Q",
        axis=_axis("error ÷ attainable error", "x", grid=False),
        scale=alt.Scale(domain=[-8, 24], nice=False, zero=False),
    )
    regimes = alt.Axis(labelLimit=130, grid=True, domain=False, ticks=False)
    points = (
        alt.Chart()
        .mark_circle(opacity=1)
        .encode(
            x=x,
            y=alt.Y("regime:N", sort=None, title=None, axis=regimes),
            color=alt.Color("bits:Q", scale=BITS, legend=None),
            size=alt.Size(
                "share:Q",
                scale=alt.Scale(type="log", domain=[1e-6, 1], range=[6, 150], clamp=True),
                legend=alt.Legend(
                    title="share of the elements",
                    orient="top",
                    values=[1e-6, 1e-4, 1e-2, 1],
                    labelExpr="datum.value == 1 ? 'all' : '1 in ' + format(1 / datum.value, ',')",
                ),
            ),
            tooltip=[
                alt.Tooltip("panel:N", title="implementation"),
                alt.Tooltip("regime:N"),
                alt.Tooltip("told:N", title="error"),
                alt.Tooltip("elements:Q", format=","),
            ],
        )
    )
    limit = (
        alt.Chart().mark_rule(strokeDash=[3, 3], stroke="#1f5fd0").encode(x=alt.datum(3, type="quantitative"))
    )
    return (
        alt.layer(limit, points, data=alt.NamedData("rows"))
        .properties(width=260, height=alt.Step(17))
        .facet(facet=alt.Facet("panel:N", title=None, sort=None, header=HEADER), columns=1)
        .add_params(*_parameters("x"))
        .properties(usermeta=META)
    )


def files() -> dict[str, str]:
    """Every file that is made here, by its path under reports/templates."""
    charts = {"stability": stability(), "tolerance": tolerance()}
    made = {
        f"charts/{name}.vl.json": json.dumps(_plain(chart.to_dict()), indent=1, ensure_ascii=False) + "\n"
        for name, chart in charts.items()
    }
    return made | {"vendor/vega.min.js": vl_convert.javascript_bundle()}


def _plain(chart: dict[str, Any]) -> dict[str, Any]:
    chart.pop("$schema", None)  # an address, which nothing here fetches
    chart.pop("config", None)  # that is the theme's, in script/charts.js
    return chart


def main() -> None:
    for name, text in files().items():
        path = TEMPLATES / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
