"""What exports cost, in time and memory: `python bench --help`.

Every figure is a ratio to a reference measured in the same run, in alternation: times
of one machine say little about another.
"""

import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import commits
import exports
import importing
import indexes
import latency
import peers
import results
import starting
from exports import Filled
from timing import Row

import data
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.writer import write

FEW = 1_000
REPORTED = 100_000

Part = Callable[[], Iterator[Row]]


def parts(filled: Filled, many: int, folder: Path) -> Mapping[str, Part]:
    """Return what there is to measure, by name."""
    few, large = filled.experiments[FEW], filled.experiments[REPORTED]
    return {
        "runs": partial(exports.runs, filled, many),
        "latency": partial(latency.measure, filled.url, few),
        "peers": partial(peers.measure, filled, FEW, many, folder),
        "winner": partial(exports.winner, filled, FEW, many),
        "reports": partial(exports.reports, filled, FEW, REPORTED),
        "starting": starting.measure,
        "importing": partial(importing.measure, folder),
        "commits": partial(commits.measure, folder),
        "indexes": partial(indexes.measure, filled.url, few, large),
    }


def fill(url: str, sizes: set[int]) -> Filled:
    """Write an experiment of each size to an empty database."""
    migrate(url, create=True)
    made = {size: data.experiment(size) for size in sorted(sizes)}
    write(url, iter(made.values()))
    return Filled(
        url=url, experiments={size: experiment.id for size, experiment in made.items()}
    )


def main() -> None:
    """Measure, print a line for each comparison, and write all of them as JSON."""
    parser = ArgumentParser(prog="bench", description="Measure what exports cost.")
    parser.add_argument("--database", metavar="URL", help="an empty one (a new file)")
    parser.add_argument("--runs", type=int, default=100_000, help="(100,000)")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("results.json")
    )
    parser.add_argument("part", nargs="*", help="what to measure (everything)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        url = chosen.database or f"sqlite:///{name}/bench.db"
        filled = fill(url, {FEW, chosen.runs, REPORTED})
        known = parts(filled, chosen.runs, Path(name))
        measured: dict[str, list[Row]] = {}
        for part in chosen.part or known:
            measured[part] = []
            for row in known[part]():
                print(results.line(row), flush=True)
                measured[part].append(row)
            found = results.document(
                measured,
                sizes={"few": FEW, "runs": chosen.runs, "reports": REPORTED},
                database=url.partition(":")[0],
            )
            # After each part, so that what is interrupted is not lost.
            results.write(found, chosen.output)


if __name__ == "__main__":
    main()
