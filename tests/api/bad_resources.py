"""Resources that the API server must refuse, with what it must say; and unusual ones that it must take.

Every row changes one thing in a resource that is good and says all there is to say (`good_resource`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

ABSENT = object()
"""Takes the field away."""

API = "trainandserve.io/v1alpha1"


@dataclass(frozen=True)
class Change:
    """One thing written otherwise.

    Attributes
    ----------
    name
        What is written, as the end of "a resource with …".
    path
        Where, with dots; a number is a place in a list.
    value
        What is written there.
    message
        Part of what the API server must answer; empty where it must accept.
    """

    name: str
    path: str
    value: Any
    message: str = ""

    def applied(self) -> dict[str, Any]:
        """The good resource with this change."""
        resource = good_resource()
        *parents, last = self.path.split(".")
        place: Any = resource
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if self.value is ABSENT:
            del place[last]
        elif isinstance(place, list):
            place[int(last)] = self.value
        else:
            place[last] = self.value
        return resource


def good_resource() -> dict[str, Any]:
    """A resource with every field of the specification."""
    return copy.deepcopy(_GOOD)


def minimal_resource(name: str = "mnist") -> dict[str, Any]:
    """A resource with nothing but what is required."""
    spec = {"data": {"uri": "s3://datasets/mnist/"}, "storage": {"uri": "s3://models/"}}
    return {"apiVersion": API, "kind": "TrainAndServe", "metadata": {"name": name}, "spec": spec}


_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"}

_GOOD: dict[str, Any] = {
    "apiVersion": API,
    "kind": "TrainAndServe",
    "metadata": {"name": "mnist"},
    "spec": {
        "data": {"uri": "s3://datasets/mnist/", "secretName": "object-store"},
        "storage": {
            "uri": "s3://models/",
            "secretName": "object-store",
            "deletionPolicy": "Retain",
            "keepVersions": 10,
        },
        "training": {
            "image": "registry.example/trainer:1",
            "entrypoint": "trainer.recipes.image_classifier",
            "parameters": {"epochs": 5, "learningRate": 0.001, "augment": True, "layers": [32, 64]},
            "packages": ["albumentations==2.0.8"],
            "resources": {
                "limits": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": 1},
                "requests": {"cpu": "500m", "memory": "4Gi"},
            },
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [_TOLERATION],
            "serviceAccountName": "trainer",
            "imagePullSecrets": ["registry"],
            "podLabels": {"team": "vision"},
            "podAnnotations": {"example.com/note": "any text: with spaces"},
            "retries": {"limit": 2, "backoff": "30s"},
            "runRetries": 2,
            "timeout": "2h",
            "caching": True,
        },
        "evaluation": {
            "data": {"uri": "s3://datasets/mnist-holdout/", "secretName": "object-store"},
            "metrics": [
                {"name": "accuracy", "min": 0.97, "maxRegression": 0.005, "minSamples": 1000},
                {"name": "loss", "max": 0.2},
            ],
            "onIncumbentError": "Hold",
            "approval": "Manual",
        },
        "serving": {
            "modelFormat": "tensorflow",
            "runtime": "kserve-tensorflow-serving",
            "protocolVersion": "v1",
            "minReplicas": 1,
            "maxReplicas": 3,
            "resources": {"limits": {"cpu": 1, "memory": "1.5Gi"}, "requests": {"cpu": "0.5"}},
            "serviceAccountName": "predictor",
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}],
            "rollout": {
                "strategy": "Canary",
                "steps": [10, 50],
                "stepDuration": "5m",
                "analysis": [
                    {"query": "error-rate", "max": 0.01, "interval": "1m", "failureLimit": 1},
                    {
                        "query": "p90-seconds",
                        "min": 0,
                        "max": 2,
                        "consecutiveErrorLimit": 4,
                        "noTraffic": "Pass",
                    },
                ],
            },
            "pinnedVersion": 3,
            "deletionPolicy": "Delete",
        },
        "suspend": False,
        "historyLimit": 10,
    },
}

CREDENTIALS = "a URI carries no credentials: name a Secret in secretName instead"
SCHEME = "write an S3 URI, like s3://bucket/path/"
QUERY = "write the URI without a query or a fragment"
DOTS = "write the URI without . or .. as a part of its path"
BUCKET = "write s3:// and a bucket's name (3 to 63 lower-case letters"
CHARACTERS = "without spaces, control characters, percent signs and backslashes"
EMPTY_PARTS = "write the path without empty parts (//)"
LONG_NAME = "write a name of at most 40 characters"
NAME = "write a name that starts with a letter and has only lower-case letters, digits and hyphens"
OBJECT = "write the name alone, in lower-case letters, digits, hyphens and dots"
DURATION = "write a duration above zero in hours, minutes and seconds, like 30s"
CPU = "write cpu as a number of cores or millicores"
BYTES = "write memory and storage as a number of bytes, not negative"
DEVICES = "write the number of devices as a whole number"
IMAGE = "write an image reference, like registry.example/trainer:1"
MODULE = "write the name of a Python module, like mypackage.mymodule"
PACKAGE = "write a package's name and version, like albumentations==2.0.8"
KEY = "write each key as an optional DNS prefix and a slash"
LABEL_VALUE = "write a label value: at most 63"

_DATA = "spec.data.uri"
_LIMITS = "spec.training.resources.limits"
_ANALYSIS = "spec.serving.rollout.analysis.0"
_METRIC = "spec.evaluation.metrics.0"
_ROLLOUT = "spec.serving.rollout"
_STEPS = "write every percentage once, the smallest first"
_TIMEOUT = "spec.training.timeout"

BAD: tuple[Change, ...] = (
    # The resource's own name
    Change("an empty name", "metadata.name", "", "name or generateName is required"),
    Change("a name of 41 characters", "metadata.name", "a" * 41, LONG_NAME),
    Change("a name with a dot", "metadata.name", "mnist.v2", NAME),
    Change("a name that starts with a digit", "metadata.name", "2mnist", NAME),
    Change("a name in upper case", "metadata.name", "Mnist", "RFC 1123 subdomain"),
    Change("a name that ends with a hyphen", "metadata.name", "mnist-", "RFC 1123 subdomain"),
    # What is missing, and what is of another type
    Change("no spec", "spec", ABSENT, "spec: Required value"),
    Change("a list as its spec", "spec", [], "must be of type object"),
    Change("no data", "spec.data", ABSENT, "spec.data: Required value"),
    Change("no data uri", "spec.data.uri", ABSENT, "spec.data.uri: Required value"),
    Change("no storage", "spec.storage", ABSENT, "spec.storage: Required value"),
    Change("null as required data", "spec.data", None, "spec.data: Required value"),
    Change("a number as uri", _DATA, 5, "spec.data.uri in body must be of type string"),
    Change("text as suspend", "spec.suspend", "true", "spec.suspend in body must be of type boolean"),
    Change("text as caching", "spec.training.caching", "yes", "must be of type boolean"),
    Change("text as a number of replicas", "spec.serving.minReplicas", "1", "must be of type integer"),
    Change("text as a metric's bound", f"{_METRIC}.min", "0.97", "must be of type number"),
    Change("NaN as text in a bound", f"{_METRIC}.min", "NaN", "must be of type number"),
    Change("NaN as a bound", f"{_METRIC}.min", float("nan"), "invalid character"),
    Change("infinity as a bound", f"{_METRIC}.min", float("inf"), "invalid character"),
    Change("a list of parameters", "spec.training.parameters", ["epochs"], "must be of type object"),
    Change("text as packages", "spec.training.packages", "numpy", "must be of type array"),
    Change("a number as a label's value", "spec.training.podLabels.tier", 1, "must be of type string"),
    Change("metrics as a map", "spec.evaluation.metrics", {"accuracy": 0.9}, "unknown field"),
    Change("a secret by reference", "spec.storage.secretName", {"name": "a"}, "unknown field"),
    # Numbers out of bounds
    Change("a negative historyLimit", "spec.historyLimit", -1, "greater than or equal to 1"),
    Change("no history", "spec.historyLimit", 0, "greater than or equal to 1"),
    Change("a huge historyLimit", "spec.historyLimit", 51, "less than or equal to 50"),
    Change("half a history", "spec.historyLimit", 2.5, "must be of type integer"),
    Change("negative retries", "spec.training.retries.limit", -1, "greater than or equal to 0"),
    Change("many retries", "spec.training.retries.limit", 11, "less than or equal to 10"),
    Change("retries without a limit", "spec.training.retries", {"backoff": "30s"}, "limit: Required value"),
    Change("negative run retries", "spec.training.runRetries", -1, "greater than or equal to 0"),
    Change("many run retries", "spec.training.runRetries", 10**9, "less than or equal to 10"),
    Change("no replicas", "spec.serving.minReplicas", 0, "greater than or equal to 1"),
    Change("a huge number of replicas", "spec.serving.maxReplicas", 10**12, "less than or equal to 1000"),
    Change(
        "more replicas at least than at most",
        "spec.serving.minReplicas",
        4,
        "write a maxReplicas that is not below minReplicas",
    ),
    Change("a huge bound", f"{_METRIC}.min", 1e13, "less than or equal to 1e+12"),
    Change("a negative maxRegression", f"{_METRIC}.maxRegression", -0.1, "greater than or equal to 0"),
    Change("no version kept", "spec.storage.keepVersions", 0, "greater than or equal to 1"),
    Change("a step without users", f"{_ROLLOUT}.steps", [0, 50], "greater than or equal to 1"),
    Change("a step with all users", f"{_ROLLOUT}.steps", [50, 100], "less than or equal to 99"),
    Change("no steps", f"{_ROLLOUT}.steps", [], "should have at least 1 items"),
    Change("eleven steps", f"{_ROLLOUT}.steps", list(range(1, 12)), "must have at most 10 items"),
    Change("steps that go down", f"{_ROLLOUT}.steps", [50, 10], _STEPS),
    Change("a step twice", f"{_ROLLOUT}.steps", [10, 10], _STEPS),
    Change("an unknown strategy", f"{_ROLLOUT}.strategy", "BlueGreen", "Unsupported value"),
    Change(
        "steps of no canary", _ROLLOUT, {"strategy": "Replace", "steps": [10]}, "only with strategy: Canary"
    ),
    Change("a step's duration without a unit", f"{_ROLLOUT}.stepDuration", "5", DURATION),
    Change("version 0 pinned", "spec.serving.pinnedVersion", 0, "greater than or equal to 1"),
    Change("minSamples of 0", f"{_METRIC}.minSamples", 0, "greater than or equal to 1"),
    Change("an unknown approval", "spec.evaluation.approval", "manual", "Unsupported value"),
    Change("an unknown onIncumbentError", "spec.evaluation.onIncumbentError", "Fail", "Unsupported value"),
    Change(
        "a negative tolerationSeconds",
        "spec.serving.tolerations.0.tolerationSeconds",
        -1,
        "greater than or equal to 0",
    ),
    # Metrics
    Change("a min above max", f"{_METRIC}", {"name": "a", "min": 2, "max": 1}, "a min that is not above max"),
    Change("a metric without a bound", f"{_METRIC}", {"name": "a"}, "give the metric a bound"),
    Change(
        "null as a metric's only bound", f"{_METRIC}", {"name": "a", "min": None}, "give the metric a bound"
    ),
    Change(
        "maxRegression with both bounds",
        f"{_METRIC}",
        {"name": "a", "min": 0, "max": 1, "maxRegression": 0.1},
        "with maxRegression give either min (more is better) or max (less is better)",
    ),
    Change(
        "maxRegression alone",
        f"{_METRIC}",
        {"name": "a", "maxRegression": 0.1},
        "with maxRegression give either min",
    ),
    Change("a metric twice", "spec.evaluation.metrics.1.name", "accuracy", "Duplicate value"),
    Change("a metric without a name", f"{_METRIC}.name", ABSENT, "name: Required value"),
    Change("an empty metric name", f"{_METRIC}.name", "", "write the metric's name in letters"),
    Change("a metric's name with a space", f"{_METRIC}.name", "top 5", "write the metric's name in letters"),
    Change("a long metric name", f"{_METRIC}.name", "a" * 64, "may not be more than 63"),
    Change(
        "17 metrics",
        "spec.evaluation.metrics",
        [{"name": f"m{n}", "min": n} for n in range(17)],
        "must have at most 16 items",
    ),
    # URIs
    Change("an empty uri", _DATA, "", SCHEME),
    Change("credentials in the uri", _DATA, "s3://key:secret@datasets/mnist/", CREDENTIALS),
    Change("a user in the uri", "spec.storage.uri", "s3://key@models/", CREDENTIALS),
    Change("credentials in an http uri", _DATA, "https://key:secret@host/mnist/", CREDENTIALS),
    Change("an https uri", _DATA, "https://datasets.s3.amazonaws.com/mnist/", SCHEME),
    Change("an http uri", "spec.evaluation.data.uri", "http://host/mnist/", SCHEME),
    Change("a gs uri", _DATA, "gs://datasets/mnist/", SCHEME),
    Change("a file uri", _DATA, "file:///etc/passwd", SCHEME),
    Change("a minio uri", "spec.storage.uri", "minio://models/", SCHEME),
    Change("a path instead of a uri", _DATA, "/data/mnist", SCHEME),
    Change("a bucket without a scheme", _DATA, "datasets/mnist/", SCHEME),
    Change("an upper-case scheme", _DATA, "S3://datasets/mnist/", SCHEME),
    Change("a query", _DATA, "s3://datasets/mnist/?versionId=1", QUERY),
    Change("a fragment", _DATA, "s3://datasets/mnist/#train", QUERY),
    Change("an endpoint in the uri", _DATA, "s3://datasets/?endpoint=http://evil.example", QUERY),
    Change("the parent folder", "spec.storage.uri", "s3://models/../other/", DOTS),
    Change("the parent folder at the end", "spec.storage.uri", "s3://models/a/..", DOTS),
    Change("the same folder", _DATA, "s3://datasets/./mnist/", DOTS),
    Change("an encoded parent folder", _DATA, "s3://datasets/%2e%2e/mnist/", CHARACTERS),
    Change("a variable of the pipeline", _DATA, "s3://datasets/{{x}}/", "write the path without {{"),
    Change("an encoded space", _DATA, "s3://datasets/hand%20writing/", CHARACTERS),
    Change("a space", _DATA, "s3://datasets/hand writing/", CHARACTERS),
    Change("a space at the end", _DATA, "s3://datasets/mnist/ ", CHARACTERS),
    Change("a line break", _DATA, "s3://datasets/mnist/\n", CHARACTERS),
    Change("an invisible character", _DATA, "s3://datasets/mnist\u200b/", CHARACTERS),
    Change("a backslash", _DATA, "s3://datasets\\mnist", CHARACTERS),
    Change("no bucket", _DATA, "s3://", BUCKET),
    Change("no bucket, but a path", _DATA, "s3:///mnist/", BUCKET),
    Change("an upper-case bucket", _DATA, "s3://Datasets/mnist/", BUCKET),
    Change("a bucket with an underscore", _DATA, "s3://data_sets/mnist/", BUCKET),
    Change("a bucket with a port", _DATA, "s3://datasets:9000/mnist/", BUCKET),
    Change("a bucket of two letters", _DATA, "s3://ab/mnist/", BUCKET),
    Change("a bucket of 64 letters", _DATA, f"s3://{'a' * 64}/mnist/", BUCKET),
    Change("a bucket with two dots", _DATA, "s3://data..sets/mnist/", BUCKET),
    Change("an empty part", _DATA, "s3://datasets//mnist/", EMPTY_PARTS),
    Change("an empty part later", _DATA, "s3://datasets/mnist//train/", EMPTY_PARTS),
    Change("an empty part at the end", _DATA, "s3://datasets/mnist//", EMPTY_PARTS),
    Change("a long uri", _DATA, "s3://datasets/" + "a" * 1024, "may not be more than 1024"),
    Change(
        "a storage prefix that leaves no room",
        "spec.storage.uri",
        "s3://models/" + "a" * 640,
        "write a prefix of at most 640 characters",
    ),
    # What is measured
    Change("PromQL for a query's name", f"{_ANALYSIS}.query", 'up{namespace="prod"}', "PromQL is not taken"),
    Change("an analysis without a query", f"{_ANALYSIS}.query", ABSENT, "query: Required value"),
    Change("a query twice", f"{_ANALYSIS}.query", "p90-seconds", "Duplicate value"),
    Change("a query without bounds", f"{_ANALYSIS}.max", ABSENT, "give the query a bound: min, max or both"),
    Change("bounds the wrong way round", f"{_ANALYSIS}.min", 0.5, "write a min that is not above max"),
    Change("an interval of nothing", f"{_ANALYSIS}.interval", "0s", "write a duration above zero"),
    Change("fewer failures than none", f"{_ANALYSIS}.failureLimit", -1, "greater than or equal to 0"),
    Change("another word for no traffic", f"{_ANALYSIS}.noTraffic", "Ignore", '"Hold", "Pass", "Fail"'),
    Change(
        "more queries than ten",
        "spec.serving.rollout.analysis",
        [{"query": f"q{number}", "max": 1} for number in range(11)],
        "must have at most 10 items",
    ),
    # Fields that there are not, or not yet
    Change("an unknown field", "spec.dataset", {}, 'unknown field "spec.dataset"'),
    Change("a field in the wrong case", "spec.historylimit", 3, 'unknown field "spec.historylimit"'),
    Change("triggers", "spec.triggers", {"schedule": {}}, 'unknown field "spec.triggers"'),
    Change("a metric server", "spec.serving.rollout.prometheus", "http://a", "unknown field"),
    Change(
        "PromQL of its own",
        "spec.serving.rollout.analysis.0.expr",
        "up",
        'unknown field "spec.serving.rollout',
    ),
    Change("a namespace for data", "spec.data.namespace", "prod", 'unknown field "spec.data.namespace"'),
    Change(
        "a namespace for storage", "spec.storage.namespace", "a", 'unknown field "spec.storage.namespace"'
    ),
    Change("an endpoint", "spec.storage.endpoint", "http://a", 'unknown field "spec.storage.endpoint"'),
    Change("a pod spec", "spec.training.podSpec", {}, 'unknown field "spec.training.podSpec"'),
    Change("a pod template", "spec.serving.podTemplate", {}, 'unknown field "spec.serving.podTemplate"'),
    Change("volumes", "spec.training.volumes", [], 'unknown field "spec.training.volumes"'),
    Change("a security context", "spec.training.securityContext", {}, "unknown field"),
    Change("environment variables", "spec.training.env", [], 'unknown field "spec.training.env"'),
    Change("resource claims", "spec.training.resources.claims", [], "unknown field"),
    Change("an unknown bound", f"{_METRIC}.minimum", 1, 'unknown field "spec.evaluation.metrics[0].minimum"'),
    Change("an unknown word in a toleration", "spec.serving.tolerations.0.seconds", 1, "unknown field"),
    # Durations
    Change("an empty duration", _TIMEOUT, "", DURATION),
    Change("no time at all", _TIMEOUT, "0s", DURATION),
    Change("no time in three units", _TIMEOUT, "0h0m0s", DURATION),
    Change("a negative duration", _TIMEOUT, "-5m", DURATION),
    Change("a number as a duration", _TIMEOUT, 5, "must be of type string"),
    Change("a duration without a unit", _TIMEOUT, "5", DURATION),
    Change("a fraction of an hour", _TIMEOUT, "1.5h", DURATION),
    Change("a duration with a space", _TIMEOUT, "5 min", DURATION),
    Change("days", _TIMEOUT, "2d", DURATION),
    Change("a duration of ISO 8601", _TIMEOUT, "PT2H", DURATION),
    Change("minutes before hours", _TIMEOUT, "30m1h", DURATION),
    Change("a bad backoff", "spec.training.retries.backoff", "30", DURATION),
    Change("more than a year", _TIMEOUT, "8761h", "write a duration of at most a year (8760h)"),
    Change("a huge duration", _TIMEOUT, "9" * 30 + "h", "may not be more than 24"),
    # Quantities
    Change("negative cpu", _LIMITS, {"cpu": "-1"}, CPU),
    Change("negative cpu as a number", _LIMITS, {"cpu": -1}, CPU),
    Change("a version number as cpu", _LIMITS, {"cpu": "1.5.2"}, CPU),
    Change("words as cpu", _LIMITS, {"cpu": "lots"}, CPU),
    Change("empty cpu", _LIMITS, {"cpu": ""}, CPU),
    Change("cpu in bytes", _LIMITS, {"cpu": "4Gi"}, CPU),
    Change("a bare fraction as cpu", _LIMITS, {"cpu": 0.5}, "must be of type integer,string"),
    Change("huge cpu", _LIMITS, {"cpu": 10**7}, CPU),
    Change("negative memory", _LIMITS, {"memory": "-1Gi"}, BYTES),
    Change("memory in gigabytes", _LIMITS, {"memory": "8GB"}, BYTES),
    Change("memory with a space", _LIMITS, {"memory": "8 Gi"}, BYTES),
    Change("memory in upper-case kilobytes", _LIMITS, {"memory": "512K"}, BYTES),
    Change("memory in millibytes", _LIMITS, {"memory": "512m"}, BYTES),
    Change("words as memory", "spec.serving.resources.limits", {"memory": "lots"}, BYTES),
    Change("huge memory", _LIMITS, {"memory": 10**16}, BYTES),
    Change("long memory", _LIMITS, {"memory": "1" * 25}, "may not be more than 24"),
    Change("a fraction of training memory", _LIMITS, {"memory": "1.5Gi"}, "write memory without a fraction"),
    Change("half an accelerator", _LIMITS, {"nvidia.com/gpu": "0.5"}, DEVICES),
    Change("an accelerator in bytes", _LIMITS, {"nvidia.com/gpu": "1Gi"}, DEVICES),
    Change("millis of an accelerator", "spec.serving.resources.limits", {"nvidia.com/gpu": "500m"}, DEVICES),
    Change(
        "two accelerators", _LIMITS, {"nvidia.com/gpu": 1, "amd.com/gpu": 1}, "write one accelerator at most"
    ),
    Change("gpu without its vendor", _LIMITS, {"gpu": 1}, "a device's full name, like nvidia.com/gpu"),
    Change(
        "training storage", _LIMITS, {"ephemeral-storage": "1Gi"}, "write cpu, memory and at most one acceler"
    ),
    Change(
        "an accelerator in the requests",
        "spec.training.resources.requests",
        {"nvidia.com/gpu": 1},
        "an accelerator belongs to the limits",
    ),
    Change(
        "a model server's accelerator in the requests alone",
        "spec.serving.resources.requests",
        {"nvidia.com/gpu": 1},
        "write devices, such as nvidia.com/gpu, in limits",
    ),
    Change(
        "requests above the limits",
        "spec.training.resources.requests",
        {"memory": "9000Mi"},
        "write requests that are not above the limits",
    ),
    Change(
        "a model server's requests above its limits",
        "spec.serving.resources.requests",
        {"cpu": "1500m"},
        "write requests that are not above the limits",
    ),
    Change(
        "nine resources",
        "spec.serving.resources.limits",
        {f"example.com/d{n}": 1 for n in range(9)},
        "must have at most 8 items",
    ),
    # Words of a fixed list
    Change("another deletion policy", "spec.storage.deletionPolicy", "Keep", '"Retain", "Delete"'),
    Change("a policy in lower case", "spec.serving.deletionPolicy", "orphan", '"Delete", "Orphan"'),
    Change("another model format", "spec.serving.modelFormat", "pytorch", 'supported values: "tensorflow"'),
    Change("another protocol", "spec.serving.protocolVersion", "v2", 'supported values: "v1"'),
    Change("an empty word for the default", "spec.storage.deletionPolicy", "", '"Retain", "Delete"'),
    Change("an unknown taint effect", "spec.serving.tolerations.0.effect", "Never", '"NoExecute"'),
    # Names of other objects
    Change("an empty secret name for the default", "spec.storage.secretName", "", OBJECT),
    Change("a secret of another namespace", "spec.data.secretName", "prod/object-store", OBJECT),
    Change("an upper-case secret", "spec.storage.secretName", "Object-Store", OBJECT),
    Change("a secret with an empty part", "spec.storage.secretName", "object..store", OBJECT),
    Change("an empty service account", "spec.training.serviceAccountName", "", OBJECT),
    Change("a full service account", "spec.serving.serviceAccountName", "system:sa:prod:admin", OBJECT),
    Change("a pull secret with a slash", "spec.training.imagePullSecrets.0", "prod/registry", OBJECT),
    Change("a pull secret as an object", "spec.training.imagePullSecrets.0", {"name": "a"}, "unknown field"),
    Change("a runtime with a space", "spec.serving.runtime", "tf serving", OBJECT),
    Change("a long secret name", "spec.storage.secretName", "a" * 254, "may not be more than 253"),
    Change(
        "nine pull secrets",
        "spec.training.imagePullSecrets",
        [f"s{n}" for n in range(9)],
        "must have at most 8 items",
    ),
    # Image, module, packages, parameters
    Change("an empty image", "spec.training.image", "", IMAGE),
    Change("an image as a URL", "spec.training.image", "https://registry.example/trainer:1", IMAGE),
    Change("an image with a space", "spec.training.image", "registry.example/my trainer", IMAGE),
    Change("an upper-case image", "spec.training.image", "registry.example/Trainer:1", IMAGE),
    Change("an image with an empty tag", "spec.training.image", "registry.example/trainer:", IMAGE),
    Change("an image with a short digest", "spec.training.image", "trainer@sha256:abc", IMAGE),
    Change("an image with an empty part", "spec.training.image", "registry.example//trainer", IMAGE),
    Change("a long image", "spec.training.image", "a" * 513, "may not be more than 512"),
    Change("an empty entry point", "spec.training.entrypoint", "", MODULE),
    Change("a file as entry point", "spec.training.entrypoint", "train.py", MODULE),
    Change("a path as entry point", "spec.training.entrypoint", "mypackage/train", MODULE),
    Change("a function as entry point", "spec.training.entrypoint", "mypackage.train:main", MODULE),
    Change("a module with a hyphen", "spec.training.entrypoint", "my-package.train", MODULE),
    Change("a relative module", "spec.training.entrypoint", ".train", MODULE),
    Change("a module after an option", "spec.training.entrypoint", "-c import os", MODULE),
    Change("an empty package", "spec.training.packages.0", "", PACKAGE),
    Change("a pip option", "spec.training.packages.0", "--index-url=http://evil.example", PACKAGE),
    Change("an option after a package", "spec.training.packages.0", "numpy --pre", PACKAGE),
    Change("a requirements file", "spec.training.packages.0", "-r requirements.txt", PACKAGE),
    Change("a package from Git", "spec.training.packages.0", "git+https://host/a.git", PACKAGE),
    Change("a package at a URL", "spec.training.packages.0", "a @ https://host/a.whl", PACKAGE),
    Change("a package by path", "spec.training.packages.0", "./a", PACKAGE),
    Change("a wheel", "spec.training.packages.0", "a-1.0-py3-none-any.whl", PACKAGE),
    Change("two packages in one line", "spec.training.packages.0", "numpy pandas", PACKAGE),
    Change("a version with one =", "spec.training.packages.0", "numpy=2.0", PACKAGE),
    Change("a command", "spec.training.packages.0", "numpy; rm -rf /", PACKAGE),
    Change("33 packages", "spec.training.packages", [f"p{n}" for n in range(33)], "at most 32 items"),
    Change("a long package", "spec.training.packages.0", "a" * 254, "may not be more than 253"),
    Change("65 parameters", "spec.training.parameters", {f"p{n}": n for n in range(65)}, "at most 64 items"),
    # Labels, annotations, tolerations
    Change("a label key with a space", "spec.training.podLabels", {"my team": "a"}, KEY),
    Change("an empty label key", "spec.training.podLabels", {"": "a"}, KEY),
    Change("a label key with two slashes", "spec.training.nodeSelector", {"a/b/c": "d"}, KEY),
    Change("a long label key", "spec.training.podLabels", {"a" * 64: "b"}, KEY),
    Change("a label key with an upper-case prefix", "spec.serving.nodeSelector", {"Example.com/a": "b"}, KEY),
    Change(
        "a label of the platform", "spec.training.podLabels", {"pipeline/runid": "a"}, "labels of your own"
    ),
    Change("a label value with a space", "spec.training.podLabels.team", "my team", LABEL_VALUE),
    Change("a label value that ends with a dot", "spec.serving.nodeSelector.disk", "ssd.", LABEL_VALUE),
    Change("a long label value", "spec.training.podLabels.team", "a" * 64, "may not be more than 63"),
    Change(
        "17 labels",
        "spec.training.podLabels",
        {f"l{n}": "a" for n in range(17)},
        "must have at most 16 items",
    ),
    Change("an annotation key with a space", "spec.training.podAnnotations", {"my note": "a"}, KEY),
    Change("a long annotation", "spec.training.podAnnotations.note", "a" * 1025, "may not be more than 1024"),
    Change("17 tolerations", "spec.serving.tolerations", [{"operator": "Exists"}] * 17, "at most 16 items"),
    Change("a toleration without a key", "spec.training.tolerations.0", {}, "write the key of a taint"),
    Change("an empty key of a taint", "spec.training.tolerations.0.key", "", "write the key of a taint"),
    Change(
        "Exists with a value",
        "spec.training.tolerations.0.operator",
        "Exists",
        "operator: Exists write no value",
    ),
    Change(
        "seconds for another effect",
        "spec.training.tolerations.0.tolerationSeconds",
        5,
        "write tolerationSeconds only with effect: NoExecute",
    ),
    Change("an unknown operator", "spec.training.tolerations.0.operator", "Like", '"Exists", "Equal"'),
)

UNUSUAL: tuple[Change, ...] = (
    Change("a name of 40 characters", "metadata.name", "a" * 40),
    Change("a name of one letter", "metadata.name", "a"),
    Change("no more than it must", "spec", minimal_resource()["spec"]),
    Change("empty parts", "spec.training", {}),
    Change("a bucket alone", _DATA, "s3://datasets"),
    Change("a bucket with dots and digits", _DATA, "s3://2026.data-sets.example/"),
    Change("an object as its data", _DATA, "s3://datasets/MNIST/train.npz"),
    Change("partitions in the path", _DATA, "s3://datasets/table/dt=2026-01-01/hour=03/"),
    Change("dots in the path", _DATA, "s3://datasets/v1.2/.hidden/a..b/...x/"),
    Change("letters of all scripts in the path", _DATA, "s3://datasets/écriture/手書き/"),
    Change("an @ in the path", _DATA, "s3://datasets/user@example.com/a:b+c,d!e'(f)&g$h;i~j/"),
    Change("the longest data uri", _DATA, "s3://datasets/" + "a" * 1010),
    Change("the longest storage uri", "spec.storage.uri", "s3://models/" + "a" * 628),
    Change("one second", _TIMEOUT, "1s"),
    Change("hours and minutes", _TIMEOUT, "1h30m"),
    Change("many minutes", _TIMEOUT, "90m"),
    Change("all units", _TIMEOUT, "01h00m30s"),
    Change("a year", _TIMEOUT, "8760h"),
    Change("null for what is optional", "spec.serving", None),
    Change("null as a parameter", "spec.training.parameters.seed", None),
    Change("a deep parameter", "spec.training.parameters.layers", [{"units": [1, 2.5, None, "a"]}]),
    Change("a parameter of any name", "spec.training.parameters", {"a.b c/é": 1}),
    Change("cpu as a number", _LIMITS, {"cpu": 4}),
    Change("cpu as a fraction", _LIMITS, {"cpu": "0.5"}),
    Change("memory in bytes", _LIMITS, {"memory": 8 * 2**30}),
    Change("no accelerator", _LIMITS, {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": 0}),
    Change("accelerators as text", _LIMITS, {"cpu": "4", "memory": "8Gi", "nvidia.com/mig-1g.5gb": "2"}),
    Change("equal requests in other words", "spec.training.resources.requests", {"memory": "8192Mi"}),
    Change(
        "a model server's accelerator",
        "spec.serving.resources",
        {"limits": {"nvidia.com/gpu": 1, "ephemeral-storage": "10G"}, "requests": {"nvidia.com/gpu": "1"}},
    ),
    Change("an image of a registry with a port", "spec.training.image", "registry:5000/a/b:tag"),
    Change("an image without a registry", "spec.training.image", "trainer"),
    Change("an image with an upper-case tag", "spec.training.image", "ghcr.io/a_b/c--d.e:V1.0_RC"),
    Change("an image by tag and digest", "spec.training.image", "localhost/a:1@sha256:" + "0a" * 32),
    Change("a module with underscores", "spec.training.entrypoint", "_my_package.Train2"),
    Change("a package without a version", "spec.training.packages.0", "scikit-learn"),
    Change("a package with extras", "spec.training.packages.0", "name[a,b-c] >=1.0, <2.0, !=1.5.*"),
    Change("a package with a marker", "spec.training.packages.0", 'name[extra]==1.0; python_version>"3"'),
    Change("a package of a local version", "spec.training.packages.0", "torch==2.1.0+cpu"),
    Change("a package of exactly this version", "spec.training.packages.0", "a.b_c===1!2.0rc1"),
    Change("a package that is compatible", "spec.training.packages.0", "numpy~=2.0"),
    Change("an empty label value", "spec.training.nodeSelector", {"node-role.kubernetes.io/gpu": ""}),
    Change("an injected sidecar", "spec.training.podLabels", {"sidecar.istio.io/inject": "false"}),
    Change("everything tolerated", "spec.training.tolerations.0", {"operator": "Exists"}),
    Change("a taint without a value", "spec.training.tolerations.0", {"key": "a", "effect": "NoSchedule"}),
    Change("a service account with a dot", "spec.training.serviceAccountName", "team.trainer"),
    Change("a bound of 0", _METRIC, {"name": "bias", "min": 0, "maxRegression": 0}),
    Change("equal bounds", _METRIC, {"name": "bias", "min": 0.5, "max": 0.5}),
    Change("a negative bound", _METRIC, {"name": "log-likelihood", "min": -1e12}),
    Change("a metric of a data set", _METRIC, {"name": "top-5.accuracy_2", "min": 1}),
    Change("no metrics", "spec.evaluation.metrics", []),
    Change("as many replicas as at least", "spec.serving.minReplicas", 3),
)
"""What users of GitOps tools, data lakes and private registries write, and what lies on a bound."""
