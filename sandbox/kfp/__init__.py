"""A stand-in for Kubeflow Pipelines 2.17 on one machine: its REST API, its Workflows, its steps as processes.

It answers as the real server was seen to answer, errors included, and writes the Workflows and pods that
would be there. It is for demonstrations and tests; the operator relies on nothing that is peculiar to it.
"""

from sandbox.kfp.controller import Pace
from sandbox.kfp.execution import Report, ScriptedExecution, StepFailed, SubmittedRun, TaskEvent
from sandbox.kfp.faults import Fault, Faults
from sandbox.kfp.local import LocalExecution
from sandbox.kfp.pods import PodRules
from sandbox.kfp.server import KfpServer

__all__ = [
    "Fault",
    "Faults",
    "KfpServer",
    "LocalExecution",
    "Pace",
    "PodRules",
    "Report",
    "ScriptedExecution",
    "StepFailed",
    "SubmittedRun",
    "TaskEvent",
]
