"""A real pipeline, compiled with kfp, for tests of local execution."""

# Components are compiled from their source: everything they need is imported inside, and short.
# ruff: noqa: PTH103, PTH118, PTH123

from kfp import dsl, kubernetes

IMAGE = "registry.example/trainer:1"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def prepare(n: int, journal: str, data: dsl.Output[dsl.Dataset]) -> int:
    import os

    with open(journal, "a") as file:
        file.write("prepare\n")
    os.makedirs(data.path)
    with open(os.path.join(data.path, "numbers"), "w") as file:
        file.write(" ".join(str(i) for i in range(n)))
    data.metadata["count"] = n
    return n


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    data: dsl.Input[dsl.Dataset],
    count: int,
    journal: str,
    behaviour: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    import os
    import sys
    import time

    with open(journal, "a") as file:
        file.write(f"train {os.getpid()} {os.environ.get('MODE')} {os.environ.get('PASSWORD')}\n")
    with open(journal) as file:
        attempts = sum(line.startswith("train") for line in file)
    if behaviour == "hang":
        time.sleep(600)
    if behaviour == "fail" or (behaviour == "flaky" and attempts < 3):
        print("working")
        print("DataError: row 7 has 3 columns, 4 were expected", file=sys.stderr)
        sys.exit(2)
    with open(os.path.join(data.path, "numbers")) as file:
        total = sum(int(word) for word in file.read().split())
    assert data.metadata["count"] == count
    metrics.log_metric("total", total)
    with open(model.path, "w") as file:
        file.write("model")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def publish(metrics: dsl.Input[dsl.Metrics], model: dsl.Input[dsl.Model], destination: str):
    import json

    with open(model.path) as file:
        text = file.read()
    with open(destination, "w") as file:
        json.dump({"metrics": metrics.metadata, "model": text}, file)


@dsl.pipeline(name="example")
def example(n: int, journal: str, destination: str, behaviour: str = "fine", secret: str = "credentials"):
    prepared = prepare(n=n, journal=journal)
    trained = train(
        data=prepared.outputs["data"], count=prepared.outputs["Output"], journal=journal, behaviour=behaviour
    )
    trained.set_caching_options(False).set_env_variable("MODE", "test")
    trained.set_retry(2, backoff_duration="0s")
    kubernetes.use_secret_as_env(trained, secret_name=secret, secret_key_to_env={"password": "PASSWORD"})
    published = publish(
        metrics=trained.outputs["metrics"], model=trained.outputs["model"], destination=destination
    )
    published.set_caching_options(False)


@dsl.pipeline(name="two-at-once")
def two_at_once(journal: str):
    """Two steps that do not depend on each other."""
    for name in ("one", "two"):
        prepare(n=1, journal=journal).set_caching_options(False).set_display_name(name)


@dsl.pipeline(name="limited")
def limited(journal: str, destination: str):
    """A step with a limit of one second."""
    prepared = prepare(n=1, journal=journal)
    trained = train(data=prepared.outputs["data"], count=1, journal=journal, behaviour="hang")
    kubernetes.set_timeout(trained, 1)
