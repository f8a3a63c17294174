"""What can go wrong, each with the exit code that scripts see."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    FAILED = 1
    """The API server, or what else was asked, refuses or does not answer."""
    USAGE = 2
    """The command line, or a file that it names, is not what is needed."""
    NOT_FOUND = 3
    """There is no such resource, or the cluster does not know the kind."""
    FROM_GIT = 4
    """The resource is kept by Argo CD or Flux: the change for Git was printed, and nothing was changed."""
    NOT_NOW = 5
    """The resource is not in a state in which this can be done: nothing serves, no run, nothing waits for approval."""
    INTERRUPTED = 130
    """Ctrl-C."""


class CliError(Exception):
    """A command cannot go on; the message says why, and what to do."""

    code = Exit.FAILED


class WrongInput(CliError):
    """A file or an argument is not what is needed."""

    code = Exit.USAGE


class NotFound(CliError):
    """There is no such thing."""

    code = Exit.NOT_FOUND


class FromGit(CliError):
    """The resource is kept from Git: a change here would be taken back, or hidden from who reads Git."""

    code = Exit.FROM_GIT


class NotNow(CliError):
    """The resource is not in a state in which this can be done."""

    code = Exit.NOT_NOW


class PassedOn(CliError):
    """What stands behind the API server's proxy answered with an error of its own."""
