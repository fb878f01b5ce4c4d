"""What another tool takes to write all runs as CSV, with the same data as ours.

    PYTHON other_tools.py optuna|mlflow load|export FOLDER

Runs in that tool's environment, which has nothing of this project. `load` reads
FOLDER/runs.ndjson, an export of ours, and `export` prints what it took as JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the runs."""
    with (folder / "runs.ndjson").open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record.get("type") != "experiment":
                yield record


def leaves(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings of a config."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def load_optuna(folder: Path) -> None:
    """Add a trial for each run, with its scores and tokens as attributes."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    runs = [*records(folder)]
    # Optuna refuses choices that differ between trials.
    names = {run["config"]["model"]["name"]: None for run in runs}
    model = CategoricalDistribution([*names])
    number = FloatDistribution(0, len(runs))
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/optuna.db",
        study_name="bench",
        direction="maximize",
    )
    study.add_trials(
        [
            optuna.trial.create_trial(
                value=run["weighted_score"],
                params=dict(leaves(run["config"])),
                distributions={
                    name: model if name == "model.name" else number
                    for name, _ in leaves(run["config"])
                },
                user_attrs={
                    **run["scores"],
                    **{name: run[name] for name in ("tokens_in", "tokens_out")},
                    "duration_ms": run["duration_ms"],
                },
            )
            for run in runs
        ]
    )


def export_optuna(folder: Path) -> None:
    """Write what `trials_dataframe` returns."""
    import optuna

    storage = f"sqlite:///{folder}/optuna.db"
    study = optuna.load_study(storage=storage, study_name="bench")
    study.trials_dataframe().to_csv(folder / "optuna.csv")


def load_mlflow(folder: Path) -> None:
    """Log each run with its settings, scores and tokens."""
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("bench", artifact_location=folder.as_uri())
    for record in records(folder):
        run = client.create_run(experiment, run_name=record["name"]).info.run_id
        numbers = {
            **record["scores"],
            "weighted_score": record["weighted_score"],
            **{name: record[name] for name in ("tokens_in", "tokens_out")},
            "duration_ms": record["duration_ms"],
        }
        client.log_batch(
            run,
            metrics=[Metric(name, value, 0, 0) for name, value in numbers.items()],
            params=[
                Param(name, str(value)) for name, value in leaves(record["config"])
            ],
        )
        client.set_terminated(run, "FINISHED")


def export_mlflow(folder: Path) -> None:
    """Write what `search_runs` returns."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    found = mlflow.search_runs(experiment_names=["bench"], max_results=50_000)
    found.to_csv(folder / "mlflow.csv")


WORK: dict[tuple[str, str], Callable[[Path], None]] = {
    ("optuna", "load"): load_optuna,
    ("optuna", "export"): export_optuna,
    ("mlflow", "load"): load_mlflow,
    ("mlflow", "export"): export_mlflow,
}


def main() -> None:
    """Do the work, and print what it took, without the import of the tool."""
    tool, what, folder = sys.argv[1:]
    __import__(tool)
    cpu, start = time.process_time(), time.perf_counter()
    WORK[tool, what](Path(folder))
    clock, cpu = time.perf_counter() - start, time.process_time() - cpu
    status = Path(f"/proc/{os.getpid()}/status").read_text(encoding="utf-8")
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps({"seconds": clock, "cpu_seconds": cpu, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
