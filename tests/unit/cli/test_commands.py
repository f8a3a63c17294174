"""What commands print, what they change, and what they answer to a script."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.unit.cli.standing import Shell
from trainandserve.cli import completion
from trainandserve.cli.advice import ADVICE, NOTHING_WRONG
from trainandserve.cli.cluster import Where
from trainandserve.cli.errors import CliError
from trainandserve.cli.options import ResourceName
from trainandserve.cli.program import program
from trainandserve.cli.session import Surroundings

RETRAIN = "trainandserve.io/retrain"


def test_status_draws_one_resource_and_lists_all(shell: Shell) -> None:
    one, all_of_them = shell("status", "mnist"), shell("status")
    assert one.code == all_of_them.code == 0
    assert "mnist  vision" in one.out and "Verdict" in one.out
    assert all_of_them.out.split()[-9:-4] == ["mnist", "✓", "yes", "Serving", "2"]


def test_data_comes_as_json_and_as_yaml_and_says_the_same(shell: Shell) -> None:
    as_json = json.loads(shell("status", "mnist", "-o", "json").out)
    as_yaml = yaml.safe_load(shell("status", "mnist", "-o", "yaml").out)
    assert as_json == as_yaml
    assert as_json["status"]["served"]["version"] == 2
    assert [one["reason"] for one in as_json["advice"]] == ["Rejected"]
    assert [one["version"] for one in json.loads(shell("history", "mnist", "-o", "json").out)] == [3, 2]


def test_history_lists_the_versions(shell: Shell) -> None:
    answer = shell("history", "tas/mnist")
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()[2:]] == ["3", "2"]


def test_where_to_ask_is_said_as_to_kubectl(shell: Shell) -> None:
    shell("status", "mnist", "-n", "other", "--context", "there", "--kubeconfig", "a-file")
    assert shell.cluster.asked == [Where("other", "there", "a-file")]


def test_retrain_sets_the_annotation_to_the_time_and_says_what_comes(shell: Shell) -> None:
    answer = shell("retrain", "mnist")
    assert answer.code == 0
    assert shell.cluster.writes == [
        ("mnist", {"metadata": {"annotations": {RETRAIN: "2026-11-20T12:04:00Z"}}})
    ]
    assert f'metadata.annotations[{RETRAIN}]: absent -> "2026-11-20T12:04:00Z"' in answer.out
    assert "version 4 is trained" in answer.out


def test_suspend_and_resume_leave_the_specification_as_it_was(shell: Shell) -> None:
    before = shell.cluster.get("mnist")["spec"]
    assert "spec.suspend: absent -> true" in shell("suspend", "mnist").out
    assert shell.cluster.get("mnist")["spec"] == before | {"suspend": True}
    assert "suspended already" in shell("suspend", "mnist").out
    assert "spec.suspend: true -> absent" in shell("resume", "mnist").out
    assert shell.cluster.get("mnist")["spec"] == before
    assert "is not suspended" in shell("resume", "mnist").out
    assert len(shell.cluster.writes) == 2


@pytest.mark.parametrize("command", ["retrain", "suspend"])
def test_a_dry_run_says_the_change_and_makes_none(shell: Shell, command: str) -> None:
    answer = shell(command, "mnist", "--dry-run")
    assert answer.code == 0 and "->" in answer.out and "dry run" in answer.out
    assert shell.cluster.writes == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status", "absent"), 3, "not found"),
        (("retrain", "absent"), 3, "not found"),
        (("status", "pod/mnist"), 2, "is no TrainAndServe"),
        (("status", "--watch"), 2, "--watch needs a NAME"),
        (("status", "mnist", "-o", "xml"), 2, "xml"),
        (("nonsense",), 2, "nonsense"),
        (("history",), 2, "NAME"),
        (("compile", "-f", "no-such-file"), 2, "no-such-file"),
    ],
)
def test_what_goes_wrong_has_an_exit_code_and_words(
    shell: Shell, arguments: tuple[str, ...], code: int, said: str
) -> None:
    answer = shell(*arguments)
    assert answer.code == code and said in answer.err and not answer.out


def test_a_resource_of_a_newer_definition_is_said_to_be_one(shell: Shell) -> None:
    shell.cluster.bodies["mnist"]["status"]["phase"] = "Levitating"
    answer = shell("status", "mnist")
    assert answer.code == 1 and "status.phase" in answer.err and "older than the definition" in answer.err


# --- Completion ---------------------------------------------------------------------------------------------------


def test_names_of_resources_complete(shell: Shell) -> None:
    assert _offers(shell, "mn") == ["mnist"]
    assert _offers(shell, "x") == []


def test_completion_offers_nothing_where_the_cluster_does_not_answer(shell: Shell) -> None:
    def refuse(where: Where) -> None:
        raise CliError("no answer")

    context = program.make_context("trainandserve", ["status", "x"], obj=Surroundings(refuse))  # type: ignore[arg-type]
    assert ResourceName().shell_complete(context, program.params[0], "") == []


def _offers(shell: Shell, begun: str) -> list[str]:
    surroundings = Surroundings(lambda where: shell.cluster)  # type: ignore[arg-type, return-value]
    context = program.make_context("trainandserve", ["status", "x"], obj=surroundings)
    return [item.value for item in ResourceName().shell_complete(context, program.params[0], begun)]


def test_kubectl_is_answered_with_commands_and_told_not_to_offer_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kubectl_complete-tas", "re"])
    assert completion.for_kubectl() == 0
    *offers, last = capsys.readouterr().out.splitlines()
    assert {offer.split("\t")[0] for offer in offers} == {"resume", "retrain"}
    assert last == ":4"


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_the_completion_script_is_that_of_the_shell(shell: Shell, shell_name: str) -> None:
    answer = shell("completion", shell_name)
    assert answer.code == 0 and "_TRAINANDSERVE_COMPLETE" in answer.out


# --- Advice -------------------------------------------------------------------------------------------------------


def test_a_reason_is_either_fine_or_has_advice() -> None:
    from tests.unit.docs.test_docs import reasons_of_conditions

    assert reasons_of_conditions() - NOTHING_WRONG <= set(ADVICE), "operator/trainandserve/cli/advice.py"
    assert not NOTHING_WRONG & set(ADVICE)
