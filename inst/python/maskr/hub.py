"""Networks of PyTorch Hub repositories as models."""

import contextlib
import json
import os
import re
import sys
import urllib.error
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from maskr.errors import (
    DataError,
    FileError,
    FormatError,
    MissingPackageError,
    TrustError,
    WeightsError,
)
from maskr.foreign import foreign_model
from maskr.model import SegModel
from maskr.preprocess import Preprocess
from maskr.quiet import quiet
from maskr.spec import Spec

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(:[\w./-]+)?")
"""owner/name, or owner/name:ref."""

PATH = re.compile(r"[./~\\]|[A-Za-z]:[/\\]|[^/]*\\")
"""How paths begin, and names of repositories don't."""

COMMIT = re.compile(r":[0-9a-f]{40}$")
"""The ref of a repository that is pinned to one commit."""


def hub(
    repo: str,
    entry: str,
    args: Sequence = (),
    kwargs: dict[str, Any] | None = None,
    classes: dict[str, int] | None = None,
    activation: str = "none",
    preprocess: dict | None = None,
    multiple: int = 1,
    trust: bool = False,
    output: str | int | None = None,
) -> SegModel:
    """A model around a network that `torch.hub.load(repo, entry, *args, **kwargs)` returns.

    Parameters
    ----------
    repo
        "owner/name[:ref]" on GitHub, or a folder.
    entry
        Function of the repository's hubconf.py.
    args, kwargs
        What it is called with: plain values, so that the model can be saved.
    classes, preprocess, multiple, output
        As in `Spec`.
    activation
        What the network itself ends with: "none", "sigmoid" or "softmax".
    trust
        Whether the repository's code may run.

    Raises
    ------
    TrustError
        Without `trust`.
    WeightsError
        If the repository can't be reached.
    """
    repo = os.path.abspath(repo) if os.path.isdir(repo) else repo
    arguments = {"repo": repo, "entry": entry, "args": list(args), "kwargs": dict(kwargs or {})}
    require_plain(arguments)
    spec = Spec(
        "hub",
        arguments,
        in_channels=arguments["kwargs"].get("in_channels"),
        classes=classes,
        activated=activation,
        multiple=multiple,
        preprocess=Preprocess(**(preprocess or {})),
        output=output,
    )
    return foreign_model(module_from_hub(**arguments, trust=trust), spec)


def require_plain(arguments: dict) -> None:
    """Raise a DataError unless the arguments survive being saved."""
    for name, value in {**dict(enumerate(arguments["args"], 1)), **arguments["kwargs"]}.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"The argument {name} of the entry is a {type(value).__name__}; a model that can "
                "be saved takes numbers, strings, TRUE and FALSE, and lists of them.",
                hint="Build the module yourself and give it to `seg_wrap()`.",
                argument="...",
            ) from error


def module_from_hub(
    repo: str, entry: str, args: Sequence = (), kwargs: dict | None = None, trust: bool = False
) -> nn.Module:
    """What `torch.hub.load(repo, entry, *args, **kwargs)` returns, silently.

    Raises
    ------
    TrustError
        Without `trust`.
    WeightsError
        If the repository can't be reached.
    FormatError
        If it has no hubconf.py.
    MissingPackageError
        If it needs Python packages that are not installed.
    DataError
        If `repo` names nothing, or the entry doesn't exist, fails, or returns no module.
    """
    local = os.path.isdir(repo)
    if not local:
        require_name(repo)
    if not trust:
        raise untrusted(repo, local)
    if local and not os.path.isfile(os.path.join(repo, "hubconf.py")):
        raise FormatError(f"The folder {repo} holds no hubconf.py.", argument="repo")

    forget_repositories()
    before = set(sys.modules)
    try:
        with quiet(), translated(repo, entry):
            module = torch.hub.load(
                repo,
                entry,
                *args,
                source="local" if local else "github",
                trust_repo=True,
                verbose=False,
                # torch checks that a ref is the head of a branch or tag; a whole commit id is
                # seldom one, and already says exactly which code is meant
                skip_validation=COMMIT.search(repo) is not None,
                **(kwargs or {}),
            )
    finally:
        _left_behind.extend(set(sys.modules) - before)
        _folders.append(os.path.abspath(repo) if local else torch.hub.get_dir())
    if not isinstance(module, nn.Module):
        raise DataError(
            f'The entry "{entry}" of {repo} returns a {type(module).__name__}, not a module.',
            hint="Choose an entry that returns one network.",
            argument="entry",
        )
    return module


def require_name(repo: str) -> None:
    """Raise a FileError for what is neither a folder nor the name of a repository."""
    if os.path.isfile(repo):
        raise FileError(
            f'"{repo}" is a file, and a folder with a hubconf.py is needed.', argument="repo"
        )
    if PATH.match(repo):
        raise FileError(
            f'There is no folder "{repo}".',
            hint=f"The working directory is {os.getcwd()}.",
            argument="repo",
        )
    if not REPOSITORY.fullmatch(repo):
        raise FileError(
            f'"{repo}" is neither a folder nor a GitHub repository.',
            hint='Repositories are named "owner/name", best as "owner/name:commit".',
            argument="repo",
        )


def untrusted(repo: str, local: bool) -> TrustError:
    """The error of a repository whose code may not run."""
    pinned = repo.partition(":")[0] + ":commit"
    advice = "" if local or COMMIT.search(repo) else f', pinned to one commit (repo = "{pinned}")'
    return TrustError(
        f'Loading "{repo}" runs the Python code in it, with all that you may do on this machine.',
        hint=f"If you trust that code, write `trust = TRUE`{advice}.",
        argument="trust",
    )


_left_behind: list[str] = []
_folders: list[str] = []


def forget_repositories() -> None:
    """Drop the modules that earlier repositories imported from their own folders.

    torch.hub leaves them in `sys.modules`, where the next repository's `import unet` or `import
    utils` would find another's. Models that exist keep their classes.
    """
    for name in _left_behind:
        file = getattr(sys.modules.get(name), "__file__", None) or ""
        if file.startswith(tuple(os.path.join(folder, "") for folder in _folders)):
            del sys.modules[name]
    _left_behind.clear()
    _folders.clear()


@contextlib.contextmanager
def translated(repo: str, entry: str) -> Iterator[None]:
    """Turn what goes wrong in loading a repository into maskr's errors."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_packages(repo, error.name or str(error)) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        if getattr(error, "code", None) == 404:
            raise not_found(repo) from error
        raise unreachable(repo, str(getattr(error, "reason", error))) from error
    except Exception as error:
        text = str(error)
        if "no internet connection" in text:
            raise unreachable(repo, "there is no internet connection") from error
        if text.startswith("Cannot find callable"):
            raise DataError(
                f'The hubconf.py of {repo} has no entry "{entry}".',
                hint="Entries are the functions of that file.",
                argument="entry",
            ) from error
        # torch trips over a missing header where GitHub answers its questions with an error
        if text.startswith("Cannot find") or text == "'Authorization'":
            raise not_found(repo) from error
        if text.startswith("Missing dependencies: "):
            raise missing_packages(repo, text.partition(": ")[2]) from error
        raise DataError(
            f'The entry "{entry}" of {repo} failed: {type(error).__name__}: {text}',
            hint="Further arguments of `seg_hub()` are those of that function.",
            argument="...",
        ) from error


def not_found(repo: str) -> DataError:
    """The error of a repository or ref that GitHub doesn't know."""
    return DataError(
        f"GitHub has no {repo}, or not that branch, tag or commit of it, or is refusing requests "
        f"at the moment. There is no folder {repo} here either.",
        hint="Give a commit with all of its 40 characters.",
        argument="repo",
    )


def unreachable(repo: str, reason: str) -> WeightsError:
    """The error of a repository, or weights of its own, that can't be downloaded."""
    not_here = "" if os.path.isdir(repo) else f" There is no folder {repo} here either."
    return WeightsError(
        f"The repository {repo}, or weights that it asks for, could not be downloaded: {reason}."
        f"{not_here}",
        hint="Offline, copy the repository's folder to this machine and give its path as `repo`, "
        f"and weights to {os.path.join(torch.hub.get_dir(), 'checkpoints')}.",
        argument="repo",
    )


def missing_packages(repo: str, names: str) -> MissingPackageError:
    """The error of a repository that imports what is not installed."""
    packages = ", ".join(f'"{name.strip()}"' for name in names.split(","))
    return MissingPackageError(
        f"The code of {repo} needs Python packages that are not installed: {names}.",
        hint=f"`reticulate::py_require(c({packages}))` in a fresh session, before Python starts, "
        f"or `reticulate::py_install(c({packages}))` into the environment in use.",
        argument="repo",
    )
