"""Results of the LM Evaluation Harness, as its ``--output_path`` holds them.

    {"results": {"arc_easy": {"acc,none": 0.31, "acc_stderr,none": 0.01, "alias": "arc_easy"}}, ...}

Each task's metrics become scores ``TASK.METRIC`` (``,none``, the absent filter, is left out; other
filters are kept); standard errors become settings ``stderr.TASK.METRIC``.
"""

from __future__ import annotations

from pathlib import Path

from leadsman.errors import InputError
from leadsman.runs.imports.read import number, read_json
from leadsman.runs.ledger import Ledger
from leadsman.runs.run import Run


def import_lm_eval(path: str | Path, ledger: Ledger, *, run_id: str = "") -> Run:
    """Write a run with the scores of a results file.

    Args:
        path: ``results_*.json``.
        ledger: where the run goes.
        run_id: its name; by default the model's name in the file, else that of the file.

    Raises:
        InputError: no such file, or not results of the harness.
    """
    path = Path(path)
    plain = read_json(path)
    tasks = plain.get("results") if isinstance(plain, dict) else None
    if not isinstance(tasks, dict):
        raise InputError("not results of lm-eval: 'results' is missing", file=path)
    scores, settings = {}, {}
    for task, metrics in tasks.items():
        for name, value in metrics.items() if isinstance(metrics, dict) else ():
            known = number(value)
            if known is None:
                continue
            metric = name.removesuffix(",none").replace(",", ".")
            if "_stderr" in metric:
                settings[f"stderr.{task}.{metric.replace('_stderr', '')}"] = known
            else:
                scores[f"{task}.{metric}"] = known
    if not scores:
        raise InputError("no task has a score", file=path)
    name = str(plain.get("model_name") or path.stem).replace("/", "__")
    run = Run(id=run_id or name, role="imported", scores=scores, settings=settings)
    ledger.add(run)
    return run
