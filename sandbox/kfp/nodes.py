"""The status of a Workflow as Argo writes it for a compiled KFP pipeline: nodes in pairs, progress, phase."""

from __future__ import annotations

from typing import Any

from sandbox.kfp.clock import moment, now, stamp

DONE = frozenset({"Succeeded", "Failed", "Error", "Skipped", "Omitted"})


def fnv32a(text: str) -> int:
    """The 32-bit FNV-1a hash, with which Argo makes node ids and pod names from node names."""
    digest = 0x811C9DC5
    for byte in text.encode():
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return digest


class WorkflowNodes:
    """The nodes of one Workflow.

    KFP wraps every template into a Retry node, so that everything comes twice: `train` and `train(0)`. A task
    is a driver (a pod), and an executor (a pod) inside a DAG node of the task's name.
    """

    def __init__(self, workflow: str, nodes: dict[str, Any] | None = None) -> None:
        self.workflow = workflow
        self.nodes: dict[str, dict[str, Any]] = nodes or {}

    def node_id(self, name: str) -> str:
        return name if name == self.workflow else f"{self.workflow}-{fnv32a(name)}"

    def pod_name(self, name: str, template: str) -> str:
        return f"{self.workflow}-{template}-{fnv32a(name)}"

    @property
    def _dag(self) -> str:
        return f"{self.workflow}(0).root(0)"

    def driver(self, task: str) -> str:
        return f"{self._dag}.{task}-driver"

    def task(self, task: str) -> str:
        return f"{self._dag}.{task}"

    def executor(self, task: str) -> str:
        return f"{self._dag}.{task}(0).executor"

    @property
    def root_driver(self) -> str:
        return f"{self.workflow}(0).root-driver"

    def start(self) -> None:
        self._pair(self.workflow, "entrypoint", "DAG")
        self._pair(self.root_driver, "system-dag-driver", "Pod", parent=f"{self.workflow}(0)")

    def root_started(self) -> None:
        self.close(self.root_driver, "Succeeded")
        self._pair(f"{self.workflow}(0).root", "root", "DAG", parent=f"{self.workflow}(0)")

    def driver_started(self, task: str) -> None:
        self._pair(self.driver(task), "system-container-driver", "Pod", parent=self._dag)

    def executor_waits(self, task: str, attempt: int, message: str = "") -> None:
        """The driver is done, the step's pod is there and does not run yet."""
        self.close(self.driver(task), "Succeeded")
        self._pair(self.task(task), "system-container-executor", "DAG", parent=self._dag)
        name = self.executor(task)
        self._open(name, "Retry", "system-container-impl", "Running", f"{self.task(task)}(0)")
        self._open(f"{name}({attempt})", "Pod", "system-container-impl", "Pending", name)
        self._say(f"{name}({attempt})", "Pending", message)

    def executor_runs(self, task: str, attempt: int) -> None:
        self._say(f"{self.executor(task)}({attempt})", "Running", "")

    def attempt_failed(self, task: str, attempt: int, message: str) -> None:
        self._finish(f"{self.executor(task)}({attempt})", "Failed", message)

    def task_succeeded(self, task: str, attempt: int) -> None:
        name = self.executor(task)
        self._finish(f"{name}({attempt})", "Succeeded")
        self._finish(name, "Succeeded")
        self.close(self.task(task), "Succeeded")

    def task_skipped(self, task: str) -> None:
        """Outputs from the cache: the executor is a node without a pod, so it does not count in progress."""
        self.close(self.driver(task), "Succeeded")
        self._pair(self.task(task), "system-container-executor", "DAG", parent=self._dag)
        name = self.executor(task)
        self._open(name, "Skipped", "system-container-impl", "Skipped", f"{self.task(task)}(0)")
        self._finish(name, "Skipped", "when 'true != true' evaluated false")
        self.close(self.task(task), "Succeeded")

    def task_failed(self, task: str, attempt: int, message: str) -> None:
        name = self.executor(task)
        self._finish(f"{name}({attempt})", "Failed", message)
        self._finish(name, "Failed", "No more retries left" if attempt else message)
        self.close(self.task(task), "Failed")

    def driver_failed(self, task: str, message: str, phase: str = "Failed") -> None:
        self.close(self.driver(task), phase, message)

    def finish(self, phase: str, message: str = "") -> None:
        """Close whatever is open, the innermost reason kept where there is one."""
        for node in self.nodes.values():
            if node["phase"] not in DONE:
                self._finish(node["name"], phase, message if node["type"] == "Pod" else "")

    def close(self, name: str, phase: str, message: str = "") -> None:
        """Finish both nodes of a pair."""
        for part in (f"{name}(0)", name):
            if self.node_id(part) in self.nodes:
                self._finish(part, phase, message)

    def finished_tasks(self, tasks: list[str]) -> frozenset[str]:
        phases = {task: self.nodes.get(self.node_id(self.task(task)), {}).get("phase") for task in tasks}
        return frozenset(task for task, phase in phases.items() if phase == "Succeeded")

    def reset(self, tasks: list[str]) -> None:
        """Forget what did not succeed, for a retry: Argo runs only that again."""
        done = self.finished_tasks(tasks)
        again = tuple(self.task(task) for task in tasks if task not in done)
        for key, node in list(self.nodes.items()):
            if node["name"].startswith(again) and again:
                del self.nodes[key]
            elif node["phase"] in {"Failed", "Error"}:
                node.update(phase="Running", finishedAt=None, message=None)

    @property
    def progress(self) -> str:
        """Pods that succeeded, of the pods known so far: the second number grows and is no total."""
        pods = [node for node in self.nodes.values() if node["type"] == "Pod"]
        return f"{sum(pod['phase'] == 'Succeeded' for pod in pods)}/{len(pods)}"

    def _pair(self, name: str, template: str, kind: str, parent: str | None = None) -> None:
        phase = "Pending" if kind == "Pod" else "Running"
        self._open(name, "Retry", template, "Running", parent)
        self._open(f"{name}(0)", kind, template, phase, name)

    def _open(self, name: str, kind: str, template: str, phase: str, parent: str | None) -> None:
        key = self.node_id(name)
        if key in self.nodes:
            return
        self.nodes[key] = {
            "id": key,
            "name": name,
            "displayName": name.rsplit(".", 1)[-1],
            "type": kind,
            "templateName": template,
            "phase": phase,
            "startedAt": stamp(now()),
            "finishedAt": None,
        }
        if parent is not None and self.node_id(parent) in self.nodes:
            self.nodes[self.node_id(parent)].setdefault("children", []).append(key)

    def _say(self, name: str, phase: str, message: str) -> None:
        self.nodes[self.node_id(name)].update(phase=phase, message=message or None)

    def _finish(self, name: str, phase: str, message: str = "") -> None:
        node = self.nodes[self.node_id(name)]
        if node["phase"] not in DONE or node["finishedAt"] is None:
            node.update(phase=phase, finishedAt=stamp(now()), message=message or node.get("message"))


def deadline_message(started_at: str) -> str:
    """What Argo says of a Workflow that was ended by its deadline, which is how KFP terminates."""
    return f"retry exceeded workflow deadline {moment(started_at):%Y-%m-%d %H:%M:%S} +0000 UTC"
