"""Writes docs/benchmarks.md and its picture from what benchmarks.run has measured.

python -m benchmarks.report out/benchmarks-1.json [out/benchmarks-2.json ...] [--to docs]

Give it one run for each number of threads or each peer; the tables have a column for each of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .run import mean, show

Run = dict[str, Any]
NAMES = {"torch": "PyTorch", "numpy": "NumPy"}

METHOD = """\
Each number is the time of this package divided by the time of the peer for the same work: **below 1 is faster**. Each
of the two has a process of its own; they run one at a time, in turn, for several rounds, and a ratio is the median of
the rounds' ratios. Data are float32 and the same for both unless the name says otherwise; "1M" is a million elements,
1000x1000. Outputs are fresh tensors, as in a program. "Both ways" is forward and backward. "Small calls" are a hundred
calls on tensors of 2x2, where m is the module; "import" is a program that imports the package and NumPy, and does
nothing. The workloads are in [`benchmarks/workloads`](../benchmarks/workloads).

To measure yourself, on a machine that does nothing else:

    make bench BENCH="--threads 1 --json out/benchmarks-1.json --peer-python /path/to/a/python/with/torch"
    .venv/bin/python -m benchmarks.report out/benchmarks-1.json

Without PyTorch, `make bench` measures beside NumPy what NumPy has.
"""


def title(run: Run) -> str:
    """What a column is about."""
    count = run["threads"]
    return f"{NAMES[run['peer']]}, {count} thread{'s' if count > 1 else ''}"


def measured(run: Run, family: str | None = None) -> dict[str, Run]:
    return {
        name: found for name, found in run["results"].items() if "ratio" in found and family in (None, found["family"])
    }


def ratios(run: Run, family: str | None = None) -> list[float]:
    return [found["ratio"] for found in measured(run, family).values()]


def families(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(found["family"] for run in runs for found in run["results"].values()))


def machines(runs: list[Run]) -> list[str]:
    lines = []
    for key in runs[0]["machine"]:
        lines.append(f"| {key} | {'; '.join(dict.fromkeys(run['machine'][key] for run in runs))} |")
    versions = [f"tenflowers {runs[0]['ours']['version']} on Python {runs[0]['ours']['python']}"]
    versions += [f"{NAMES[run['peer']]} {run['theirs']['version']} on Python {run['theirs']['python']}" for run in runs]
    lines.append(f"| versions | {'; '.join(dict.fromkeys(versions))} |")
    lines.append(f"| date | {'; '.join(dict.fromkeys(run['date'] for run in runs))} |")
    lines.append(f"| rounds | {'; '.join(dict.fromkeys(str(run['rounds']) for run in runs))} |")
    return ["| | |", "|---|---|", *lines]


def summary(runs: list[Run]) -> list[str]:
    lines = [
        "| family | " + " | ".join(f"{title(run)}: mean (worst)" for run in runs) + " |",
        "|---|" + "--:|" * len(runs),
    ]
    for family in families(runs):
        cells = [f"{mean(r):.2f} ({max(r):.2f})" if (r := ratios(run, family)) else "" for run in runs]
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    cells = [f"**{mean(r):.2f}** ({max(r):.2f})" if (r := ratios(run)) else "" for run in runs]
    lines.append("| **all** | " + " | ".join(cells) + " |")
    ahead = [f"{sum(x <= 1 for x in ratios(run))} of {len(ratios(run))}" for run in runs]
    lines.append("| as fast or faster | " + " | ".join(ahead) + " |")
    return lines


def table(runs: list[Run], family: str) -> list[str]:
    rows = list(dict.fromkeys(name for run in runs for name in measured(run, family)))
    lines = [
        "| workload | " + " | ".join(f"tenflowers | {title(run)} | ratio" for run in runs) + " |",
        "|---|" + "--:|--:|--:|" * len(runs),
    ]
    for name in rows:
        cells = []
        for run in runs:
            found = measured(run, family).get(name)
            if found is None:
                cells += ["", "", ""]
                continue
            speed = f" ({found['gflops']:.0f} GFLOP/s)" if "gflops" in found else ""
            cells += [show(found["ours"]) + speed, show(found["theirs"]), f"{found['ratio']:.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def page(runs: list[Run], picture: str | None) -> str:
    peers = " and ".join(dict.fromkeys(NAMES[run["peer"]] for run in runs))
    parts = [f"# Speed beside {peers}", METHOD]
    if picture:
        parts.append(f"![The ratio of every workload, by family]({picture})")
    parts += ["## The machine", "\n".join(machines(runs)), "## By family", "\n".join(summary(runs))]
    parts.append("The mean is the geometric one.")
    for family in families(runs):
        parts += [f"## {family[0].upper()}{family[1:]}", "\n".join(table(runs, family))]
    errors = [
        f"- {name}: {found['error']}" for run in runs for name, found in run["results"].items() if "error" in found
    ]
    if errors:
        parts += ["## Not measured", "\n".join(errors)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def draw(runs: list[Run], path: Path) -> bool:
    """A dot for each workload, a row for each family; false where matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        print("matplotlib is not installed: no picture", file=sys.stderr)
        return False
    mpl.use("svg")
    # The same file for the same figures.
    mpl.rcParams.update({"svg.hashsalt": "tenflowers", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    rows = families(runs)
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(rows) + 1.6), layout="constrained")
    axes.axvline(1, color="0.3", linewidth=1.2, zorder=1)
    # The side of the line on which this package is ahead.
    axes.axvspan(1e-9, 1, color="tab:green", alpha=0.06, zorder=0)
    every = [x for run in runs for x in ratios(run)]
    for number, run in enumerate(runs):
        color = f"C{number}"
        offset = (number - (len(runs) - 1) / 2) * 0.5 / max(1, len(runs))
        for row, family in enumerate(rows):
            found = ratios(run, family)
            if found:
                axes.scatter(found, [row + offset] * len(found), s=14, color=color, alpha=0.45, linewidths=0, zorder=2)
                axes.scatter(mean(found), row + offset, s=90, marker="|", color=color, linewidths=2.5, zorder=3)
        axes.scatter([], [], s=20, color=color, label=f"{title(run)}: mean {mean(ratios(run)):.2f}")
    axes.set_xscale("log")
    axes.set_xlim(min([0.5, *every]) / 1.2, max([2, *every]) * 1.2)
    ticks = [x * 10.0**e for e in range(-3, 4) for x in (1, 2, 5)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("time of tenflowers / time of the peer: left of the line is faster; a bar is a family's mean")
    figure.legend(loc="outside upper center", ncols=len(runs), frameon=False, fontsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="what benchmarks.run --json has written")
    parser.add_argument("--to", type=Path, default=Path("docs"), help="the folder (docs)")
    args = parser.parse_args()
    runs = [run for run in (json.loads(path.read_text()) for path in args.runs) if measured(run)]
    if not runs:
        sys.exit("nothing was measured in these files")
    args.to.mkdir(parents=True, exist_ok=True)
    picture = args.to / "benchmarks.svg"
    drawn = draw(runs, picture)
    (args.to / "benchmarks.md").write_text(page(runs, picture.name if drawn else None))


if __name__ == "__main__":
    main()
