"""`make faults`: all of the matrix, and a table of what the verifier said."""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from faults.matrix import Outcome, bench, cuts, failures, good_answers, streams

ROUNDS = 5


def main() -> int:
    """Return 1 where the verifier was wrong once."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = list(streams(folder / "streams"))
        with bench(folder) as running:
            outcomes += chain(
                *(good_answers(running) for _ in range(ROUNDS)),
                *(failures(running) for _ in range(ROUNDS)),
                cuts(running, pieces=None),
            )
    sys.stdout.write(table(outcomes))
    good = [outcome for outcome in outcomes if outcome.good]
    lost = [outcome for outcome in outcomes if not outcome.good]
    for title, of in (("complete", good), ("not complete", lost)):
        right = sum(outcome.right for outcome in of)
        sys.stdout.write(f"judged {title}: {right} of {len(of)}\n")
    sys.stdout.write(f"{time.monotonic() - started:.0f} s\n")
    return int(not all(outcome.right for outcome in outcomes))


def table(outcomes: Sequence[Outcome]) -> str:
    """Count the verdicts for each way, HTTP version and fault, as Markdown."""
    counts = Counter(
        (row.route, row.version, row.fault, row.verdict.outcome) for row in outcomes
    )
    lines = ["| way | HTTP | fault | complete | refused | broken |", "|---" * 6 + "|"]
    for key in sorted({key[:3] for key in counts}):
        verdicts = [counts[(*key, word)] for word in ("complete", "refused", "broken")]
        lines.append(f"| {' | '.join(map(str, [*key, *verdicts]))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
