"""The pipeline itself: which steps there are, what they hand on, and what each one is given.

No ``from __future__ import annotations``: KFP reads the annotations of the pipeline's function.
"""

import functools
import json
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format  # type: ignore[import-untyped]
from kfp import dsl

from ..resource import Spec
from ..storage_access import StorageAccess
from . import components
from .options import set_common, set_storage, set_training

if TYPE_CHECKING:
    from . import PipelineInputs

DEFAULT_ENTRYPOINT = "trainer.recipes.image_classifier"

_ANY_IMAGE = "python"
"""Image of the components before a task is given the real one."""


_SHOWN = ("evaluate", "evaluate_again")
"""Components that show in KFP's pages what they found. Only these carry the code for it: the source of the others is what the
cache knows them by."""


def define(
    name: str, spec: Spec, inputs: "PipelineInputs", *, only_evaluates: bool = False
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The pipeline of a resource and its Kubernetes part, as JSON. For one thread alone.

    Parameters
    ----------
    only_evaluates
        Whether it makes nothing: it evaluates a version that was made before.

    Raises
    ------
    ValueError
        A URI or the image holds ``{{``, which KFP and Argo take for the start of a variable.
    """
    _refuse_variables(spec, inputs)
    steps = _Steps(spec, inputs)
    description = f"Trains, evaluates and exports a version of the model of TrainAndServe {name}."
    function = steps.function()
    if only_evaluates:
        description = f"Evaluates a version of the model of TrainAndServe {name} that was made before."
        function = steps.evaluating_function()
    pipeline: Any = dsl.pipeline(name=name, description=description)(function)
    platform: dict[str, Any] = json_format.MessageToDict(pipeline.platform_spec)
    return json_format.MessageToDict(pipeline.pipeline_spec), platform or None


def as_argument(value: Any) -> str:
    """A JSON value as ASCII text that arrives unchanged: ``{{``, possible only inside strings, is written as an escape."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return text.replace("{{", "{\\u007b")


def _refuse_variables(spec: Spec, inputs: "PipelineInputs") -> None:
    evaluation = spec.evaluation.data.uri if spec.evaluation and spec.evaluation.data else ""
    named = {
        "data.uri": spec.data.uri,
        "storage.uri": spec.storage.uri,
        "evaluation.data.uri": evaluation,
        "training.image": inputs.image,
    }
    for field, value in named.items():
        if "{{" in value:
            raise ValueError(f"write {field} without {{{{, which pipelines take for a variable: {value!r}")


@functools.cache
def _component(function_name: str, step: str) -> Any:
    """A component, made once: reading its source is the slow part."""
    component: Any = dsl.component(
        getattr(components, function_name),
        base_image=_ANY_IMAGE,
        install_kfp_package=False,
        additional_funcs=[
            components.run_step,
            *([components.show] if function_name in _SHOWN else []),
        ],
    )
    component.component_spec.name = step
    return component


class _Steps:
    """The steps of one resource's pipeline."""

    def __init__(self, spec: Spec, inputs: "PipelineInputs") -> None:
        self.spec = spec
        self.training = spec.train
        self.inputs = inputs
        self.recipe = {
            "entrypoint": self.training.entrypoint or DEFAULT_ENTRYPOINT,
            "parameters": as_argument(self.training.parameters or {}),
            "packages": as_argument(self.training.packages or []),
        }

    def function(self) -> Any:
        """The function that KFP calls to learn the pipeline; its parameters are those of a run."""

        def train_and_serve(
            uid: str,
            version: int,
            run_id: str,
            destination: str,
            data_digest: str = "",
            evaluation_digest: str = "",
            incumbent_version: int = 0,
            incumbent_uri: str = "",
            retrain_token: str = "",
            training_hash: str = "",
        ) -> None:
            source = self._download("download", self.spec.data.uri, data_digest, self.inputs.data)
            held_out = self._download_evaluation(evaluation_digest)
            train = self._train(source, retrain_token)
            incumbent = {"incumbent_version": incumbent_version, "incumbent_uri": incumbent_uri}
            evaluate = self._evaluate(source, held_out, train, incumbent)
            identity = {"uid": uid, "version": version, "run_id": run_id, "destination": destination}
            lineage = {"retrain_token": retrain_token, "training_hash": training_hash}
            self._export(source, held_out, train, evaluate, {**identity, **lineage})

        return train_and_serve

    def evaluating_function(self) -> Any:
        """The same of a pipeline that evaluates what was made before: as few steps as that takes."""

        def evaluate_version(
            uid: str,
            version: int,
            run_id: str,
            destination: str,
            evaluates: str,
            model_uri: str,
            result_digest: str,
            data_digest: str = "",
            evaluation_digest: str = "",
            incumbent_version: int = 0,
            incumbent_uri: str = "",
            training_hash: str = "",
        ) -> None:
            values = {
                "uid": uid,
                "version": version,
                "run_id": run_id,
                "destination": destination,
                "evaluates": evaluates,
                "model_uri": model_uri,
                "result_digest": result_digest,
                "incumbent_version": incumbent_version,
                "incumbent_uri": incumbent_uri,
                "training_hash": training_hash,
            }
            if held_out := self._download_evaluation(evaluation_digest):
                arguments = {"evaluation_data": held_out.outputs["data"]}
            else:
                source = self._download("download", self.spec.data.uri, data_digest, self.inputs.data)
                arguments = {"data": source.outputs["data"]}
            arguments |= {**self.recipe, **values}
            task = self._task("evaluate", arguments, self.inputs.storage, "evaluate_again")
            task.set_caching_options(False)

        return evaluate_version

    def _task(
        self, step: str, arguments: dict[str, Any], access: StorageAccess | None, function: str | None = None
    ) -> Any:
        task = _component(function or step, step)(**arguments)
        task.set_container_image(self.inputs.image)
        task.set_caching_options(self.training.caching is not False)
        set_common(task, self.training)
        if access:
            set_storage(task, access)
        return task

    def _download(self, step: str, uri: str, digest: Any, access: StorageAccess) -> Any:
        return self._task(step, {"uri": uri, "digest": digest}, access, "download")

    def _download_evaluation(self, digest: Any) -> Any:
        if not (self.spec.evaluation and self.spec.evaluation.data):
            return None
        access = self.inputs.evaluation or self.inputs.data
        return self._download("download-evaluation", self.spec.evaluation.data.uri, digest, access)

    def _train(self, source: Any, retrain_token: Any) -> Any:
        arguments = {"data": source.outputs["data"], "retrain_token": retrain_token, **self.recipe}
        task = self._task("train", arguments, None)
        set_training(task, self.training)
        return task

    def _evaluate(self, source: Any, held_out: Any, train: Any, incumbent: dict[str, Any]) -> Any:
        arguments = {
            "data": source.outputs["data"],
            "model": train.outputs["model"],
            **self.recipe,
            **incumbent,
        }
        if held_out:
            arguments["evaluation_data"] = held_out.outputs["data"]
        task = self._task("evaluate", arguments, self.inputs.storage)
        # An incumbent that could not be read once must not be answered for by the cache for ever.
        return task.set_caching_options(False)

    def _export(self, source: Any, held_out: Any, train: Any, evaluate: Any, values: dict[str, Any]) -> None:
        arguments = {
            "listing": source.outputs["listing"],
            "model": train.outputs["model"],
            "evaluation": evaluate.outputs["evaluation"],
            "image": self.inputs.image,
            **values,
        }
        if held_out:
            arguments["evaluation_listing"] = held_out.outputs["listing"]
        self._task("export", arguments, self.inputs.storage).set_caching_options(False)
