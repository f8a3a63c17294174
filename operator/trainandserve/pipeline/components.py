"""The steps as KFP components: each starts the trainer's command line and ends as it ends.

The source of each function is copied into the compiled pipeline and runs in the step's image, without this module: whatever
it uses is imported inside it, `run_step` (and `show`, for what evaluates) is copied along, and annotations are real types (KFP reads them), hence no
``from __future__ import annotations``. Two braces in a row would be taken for a variable on the way and may not occur.
"""

from typing import List, Optional  # noqa: UP035 - names that exist in the copied source too

from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output


def run_step(step: str, options: List[str]) -> None:  # noqa: UP006
    """Run one step of the trainer; leave with its exit code, so that its own sentence is the last of the log."""
    import signal
    import subprocess
    import sys

    process = subprocess.Popen([sys.executable, "-m", "trainer", step, *options])
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    if code < 0:
        hint = (
            "; out of memory is the usual cause, training.resources.limits.memory is the limit"
            if code == -9
            else ""
        )
        print(f"The {step} step was killed by signal {-code}{hint}.", file=sys.stderr)
        sys.exit(128 - code)
    if code > 0:
        sys.exit(code)


def show(evaluation: str, metrics: Metrics, curves: ClassificationMetrics) -> None:
    """Show an evaluation in KFP's pages."""
    import json
    from pathlib import Path

    found = json.loads(Path(evaluation).read_text(encoding="utf-8"))
    incumbent = found.get("incumbent") or {}
    rows = [*found["metrics"].items(), ("samples", found.get("samples"))]
    rows += [("incumbent_" + name, value) for name, value in (incumbent.get("metrics") or {}).items()]
    for name, value in rows:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            metrics.log_metric(name, value)
    shown = (found.get("report") or {}).get("candidate") or {}
    confusion, roc = shown.get("confusion"), shown.get("roc")
    # What is logged becomes a row of KFP's database, so a large matrix is left to the report.
    if confusion and 0 < len(confusion["names"]) <= 30:
        curves.log_confusion_matrix(confusion["names"], confusion["matrix"])
    if roc:
        curves.log_roc_curve(roc[0]["fpr"], roc[0]["tpr"], roc[0]["thresholds"])


def download(uri: str, digest: str, data: Output[Dataset], listing: Output[Artifact]) -> None:
    """Copy the data, and beside it what it is: later steps need to know that without the data itself."""
    import shutil
    from pathlib import Path

    options = [f"--uri={uri}", f"--output={data.path}"]
    if digest:
        options.append(f"--expect-digest={digest}")
    run_step("download", options)
    Path(listing.path).mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(data.path) / ".data.json", listing.path)


def train(
    data: Input[Dataset],
    entrypoint: str,
    parameters: str,
    packages: str,
    retrain_token: str,
    model: Output[Model],
) -> None:
    """Train; the token only keeps the cache from answering for another one."""
    options = [f"--data={data.path}", f"--model={model.path}", f"--entrypoint={entrypoint}"]
    options += [f"--parameters={parameters}", f"--packages={packages}"]
    if retrain_token:
        options.append(f"--retrain-token={retrain_token}")
    run_step("train", options)


def evaluate(
    data: Input[Dataset],
    model: Input[Model],
    entrypoint: str,
    parameters: str,
    packages: str,
    incumbent_version: int,
    incumbent_uri: str,
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    curves: Output[ClassificationMetrics],
    report: Output[HTML],
    evaluation_data: Optional[Input[Dataset]] = None,  # noqa: UP045
) -> None:
    """Evaluate the new model and the one that serves on the same data, and show what was found in KFP's pages."""
    options = [
        f"--data={data.path}",
        f"--model={model.path}",
        f"--entrypoint={entrypoint}",
        f"--output={evaluation.path}",
        f"--report={report.path}",
    ]
    options += [f"--parameters={parameters}", f"--packages={packages}"]
    if evaluation_data:
        options.append(f"--evaluation-data={evaluation_data.path}")
    if incumbent_version:
        options += [f"--incumbent-version={int(incumbent_version)}", f"--incumbent-uri={incumbent_uri}"]
    run_step("evaluate", options)
    show(evaluation.path, metrics, curves)


def evaluate_again(
    model_uri: str,
    result_digest: str,
    entrypoint: str,
    parameters: str,
    packages: str,
    incumbent_version: int,
    incumbent_uri: str,
    destination: str,
    version: int,
    uid: str,
    run_id: str,
    evaluates: str,
    training_hash: str,
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    curves: Output[ClassificationMetrics],
    report: Output[HTML],
    data: Optional[Input[Dataset]] = None,  # noqa: UP045
    evaluation_data: Optional[Input[Dataset]] = None,  # noqa: UP045
) -> None:
    """Evaluate a version that was made before and the one that serves on the same data, and put that beside the version."""
    folders = []
    if data:
        folders.append(f"--data={data.path}")
    if evaluation_data:
        folders.append(f"--evaluation-data={evaluation_data.path}")
    options = [
        *folders,
        f"--model-uri={model_uri}",
        f"--result-digest={result_digest}",
        f"--entrypoint={entrypoint}",
        f"--output={evaluation.path}",
        f"--report={report.path}",
    ]
    options += [f"--parameters={parameters}", f"--packages={packages}"]
    if incumbent_version:
        options += [f"--incumbent-version={int(incumbent_version)}", f"--incumbent-uri={incumbent_uri}"]
    run_step("evaluate", options)
    options = [
        *folders,
        f"--evaluation={evaluation.path}",
        f"--destination={destination}",
        f"--version={int(version)}",
        f"--uid={uid}",
        f"--run-id={run_id}",
        f"--evaluates={evaluates}",
        f"--result-digest={result_digest}",
        f"--training-hash={training_hash}",
    ]
    run_step("record", options)
    show(evaluation.path, metrics, curves)


def export(
    listing: Input[Artifact],
    model: Input[Model],
    evaluation: Input[Artifact],
    destination: str,
    version: int,
    uid: str,
    run_id: str,
    image: str,
    retrain_token: str,
    training_hash: str,
    evaluation_listing: Optional[Input[Artifact]] = None,  # noqa: UP045
) -> None:
    """Put the version into the bucket; its result comes last."""
    options = [f"--model={model.path}", f"--evaluation={evaluation.path}", f"--data={listing.path}"]
    options += [
        f"--destination={destination}",
        f"--version={int(version)}",
        f"--uid={uid}",
        f"--run-id={run_id}",
    ]
    options.append(f"--image={image}")
    if evaluation_listing:
        options.append(f"--evaluation-data={evaluation_listing.path}")
    if retrain_token:
        options.append(f"--retrain-token={retrain_token}")
    if training_hash:
        options.append(f"--training-hash={training_hash}")
    run_step("export", options)
