"""The style of every picture, and the map that opens each notebook."""

from __future__ import annotations

import sys
from base64 import b64encode
from io import BytesIO

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.rcsetup import cycler
from PIL import Image

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, RED, GREEN, AMBER, PURPLE = "#2f6fb4", "#c8382e", "#2f8f5b", "#d98e04", "#7a4fa3"

COLORS = 256  # of a picture in a notebook

STAGES = (
    ("Cards", "payments happen", "a town's taps"),
    ("Kafka", "notebook 1", "water pipes"),
    ("Features", "notebook 2", "instant recipes"),
    ("XGBoost", "notebook 3", "detectives"),
    ("FastAPI", "notebook 3", "rescue team"),
    ("Prometheus, Grafana", "notebook 4", "a car's gauges"),
)


def use_style() -> None:
    """Set matplotlib's defaults for the course."""
    plt.rcParams.update(
        {
            "figure.figsize": (9, 3.6),
            "figure.dpi": 100,
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": MUTED,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=[BLUE, RED, GREEN, AMBER, PURPLE, MUTED]),
            "grid.color": GRID,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "legend.frameon": False,
            "figure.constrained_layout.use": True,
        }
    )


def describe(figure: Figure, text: str) -> Figure:
    """Give the figure a text for people who cannot see it.

    A notebook keeps it beside the picture as `alt`, and so does its page.
    """
    figure.set_label(text)
    ipython = sys.modules.get("IPython")
    if ipython is not None and (shell := ipython.get_ipython()):
        shell.display_formatter.formatters["image/png"].for_type(Figure, _png)
    return figure


def _png(figure: Figure) -> tuple[str, dict[str, object]]:
    """The picture with a palette, a third of its size without one: GitHub cuts large notebooks off."""
    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return b64encode(small.getvalue()).decode(), {"alt": figure.get_label()}


def draw_pipeline(*here: str) -> Figure:
    """One payment's way through the course, with the stages `here` filled in."""
    figure, axes = plt.subplots(figsize=(10, 1.7))
    axes.set(xlim=(0, 10), ylim=(0, 1.7))
    axes.axis("off")
    step, width = 10 / len(STAGES), 1.36
    for index, (name, where, analogy) in enumerate(STAGES):
        left = index * step + (step - width) / 2
        lit = name in here
        box = FancyBboxPatch(
            (left, 0.45),
            width,
            0.8,
            boxstyle="round,pad=0.02,rounding_size=0.1",
            facecolor=BLUE if lit else "white",
            edgecolor=BLUE if lit else MUTED,
        )
        axes.add_patch(box)
        color = "white" if lit else INK
        label = name.replace(", ", ",\n")
        axes.text(left + width / 2, 0.98, label, ha="center", va="center", color=color, weight="bold", fontsize=9.5)
        axes.text(left + width / 2, 0.6, where, ha="center", va="center", color=color, fontsize=8)
        axes.text(left + width / 2, 0.22, analogy, ha="center", va="center", color=MUTED, fontsize=8.5, style="italic")
        if index + 1 < len(STAGES):
            axes.annotate(
                "",
                xy=(left + step - 0.04, 0.85),
                xytext=(left + width + 0.04, 0.85),
                arrowprops={"arrowstyle": "-|>", "color": MUTED},
            )
    way = ", ".join(name for name, _, _ in STAGES)
    return describe(figure, f"A payment's way through the course: {way}. Filled in here: {' and '.join(here)}.")
