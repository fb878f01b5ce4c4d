"""`make trust`: how often the verdict is wrong and how often right, as a table."""

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from promptlooper_export.analysis.verdict import LEVEL
from trust.simulation import EFFECTS, Design, designs, false_better, power


def main(rounds: int) -> int:
    """Print a row for each design; return 1 if a verdict is wrong too often."""
    columns = ["configs", "each has", "better", "worse", "better than a baseline"]
    columns += [f"sees {effect:g} sd" for effect in EFFECTS]
    write(columns)
    write(["---"] * len(columns))
    worst = 0.0
    with ProcessPoolExecutor() as pool:
        for one, (wrong, right) in pool.map(partial(shares, rounds), designs()):
            cells = [f"{one.configs:,}", one.title()]
            cells += [f"{share:.2%}" for share in wrong]
            cells += [f"{share:.0%}" for share in right]
            write(cells)
            worst = max(worst, *wrong)
    return int(worst > LEVEL)


def shares(
    rounds: int, rows: list[Design]
) -> tuple[Design, tuple[list[float], list[float]]]:
    """Return the worst shares of wrong verdicts, and the shares of right ones."""
    found = [false_better(row, rounds) for row in rows]
    wrong = [max(column) for column in zip(*found, strict=True)]
    right = [power(rows[0], rounds // 10, effect) for effect in EFFECTS]
    return rows[0], (wrong, right)


def write(cells: list[str]) -> None:
    """Print a row at once: the whole table takes a while."""
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
