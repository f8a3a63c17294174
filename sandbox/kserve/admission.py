"""What KServe's validating webhook refuses and the stand-in refuses too, as a policy that the API server holds itself."""

from __future__ import annotations

from typing import Any

from sandbox.kserve.cluster import Cluster, Kind
from sandbox.kserve.spec import GROUP, MODE_ANNOTATION, PLURAL

POLICIES = Kind("apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies")
BINDINGS = Kind("apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings")
NAME = "kserve-webhook-server"
MANAGER = "kserve-webhook-server"

# The annotation as the defaulting webhook would have rewritten it; without it the mode stays.
_MODE = (
    f"!has(object.metadata.annotations) || !('{MODE_ANNOTATION}' in object.metadata.annotations) ? variables.was : "
    f"object.metadata.annotations['{MODE_ANNOTATION}'] == 'Serverless' ? 'Knative' : "
    f"object.metadata.annotations['{MODE_ANNOTATION}'] == 'RawDeployment' ? 'Standard' : "
    f"object.metadata.annotations['{MODE_ANNOTATION}']"
)
_WAS = "has(oldObject.status) && has(oldObject.status.deploymentMode) ? oldObject.status.deploymentMode : ''"
_TEXT = '"update rejected: deploymentMode cannot be changed from \'" + variables.was + "\' to \'" + variables.mode + "\'"'


async def install(cluster: Cluster) -> None:
    """Have the API server refuse a change of an InferenceService's deployment mode; again is harmless."""
    rule: dict[str, Any] = {
        "apiGroups": [GROUP],
        "apiVersions": ["*"],
        "resources": [PLURAL],
        "operations": ["UPDATE"],
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "variables": [{"name": "was", "expression": _WAS}, {"name": "mode", "expression": _MODE}],
        "validations": [
            {
                "expression": "variables.was == '' || variables.mode == variables.was",
                "messageExpression": _TEXT,
                "reason": "Forbidden",
            }
        ],
    }
    await cluster.ensure(POLICIES, {"metadata": {"name": NAME}, "spec": spec}, MANAGER)
    binding = {"policyName": NAME, "validationActions": ["Deny"]}
    await cluster.ensure(BINDINGS, {"metadata": {"name": NAME}, "spec": binding}, MANAGER)
