"""Foreign networks as models: those of PyTorch Hub repositories, and any module of the user's."""

import contextlib
import io
import json
import os
import re
import sys
import urllib.error
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from maskr.architectures import dims_of
from maskr.errors import (
    DataError,
    FormatError,
    MissingPackageError,
    ShapeError,
    TrustError,
    WeightsError,
)
from maskr.model import SegModel, take_tensor
from maskr.preprocess import Preprocess
from maskr.spec import Spec

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(:[\w./-]+)?")
"""owner/name, or owner/name:ref."""

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
    classes, preprocess, multiple
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
    )
    return foreign_model(module_from_hub(**arguments, trust=trust), spec)


def wrap(
    module: nn.Module,
    classes: dict[str, int] | None = None,
    activation: str = "none",
    preprocess: dict | None = None,
    multiple: int = 1,
    in_channels: int | None = None,
) -> SegModel:
    """A model around a module; the arguments are those of `hub()`.

    Raises
    ------
    DataError
        If it is no PyTorch module, or a Keras one.
    """
    spec = Spec(
        "wrapped",
        in_channels=in_channels,
        classes=classes,
        activated=activation,
        multiple=multiple,
        preprocess=Preprocess(**(preprocess or {})),
    )
    return foreign_model(require_module(module), spec)


def reload(spec: Spec, module: nn.Module | None = None, trust: bool = False) -> SegModel:
    """The model that `spec` describes, for a saved file's weights to be loaded into.

    Parameters
    ----------
    spec
        Of a model that `hub()` or `wrap()` made.
    module
        The network of a wrapped model, which no file holds.
    trust
        Whether a hub repository's code may run.
    """
    if spec.architecture == "hub":
        return foreign_model(module_from_hub(**spec.arguments, trust=trust), spec)
    if module is None:
        raise WeightsError(
            "This file holds the weights of a module that was wrapped, not the module itself.",
            hint="Build the module as before and give it: `seg_load(path, module = )`.",
            argument="module",
        )
    return foreign_model(require_module(module), spec)


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


def require_module(module: Any) -> nn.Module:
    """The module, if it is one."""
    import keras

    if isinstance(module, keras.Layer):  # on the torch backend these are nn.Modules, too
        raise DataError(
            "`module` is a Keras model, and a PyTorch module is needed.", argument="module"
        )
    if not isinstance(module, nn.Module):
        raise DataError(
            f"`module` is a {type(module).__name__}, and must be a PyTorch module.",
            hint="Give an object of a class derived from `torch.nn.Module`, such as "
            "`torch$nn$Conv2d(...)`.",
            argument="module",
        )
    return module


# --- PyTorch Hub ---------------------------------------------------------------------------------


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
    if not local and not REPOSITORY.fullmatch(repo):
        raise DataError(
            f'"{repo}" is neither a folder nor a GitHub repository.',
            hint='Write "owner/name", best as "owner/name:commit".',
            argument="repo",
        )
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
def quiet() -> Iterator[None]:
    """Swallow what foreign code prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


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
        f"GitHub has no {repo}, or no such branch, tag or commit in it, or answers no more "
        "questions for now.",
        hint="Write a commit with all of its 40 characters.",
        argument="repo",
    )


def unreachable(repo: str, reason: str) -> WeightsError:
    """The error of a repository, or weights of its own, that can't be downloaded."""
    return WeightsError(
        f"The repository {repo}, or weights that it asks for, could not be downloaded: {reason}.",
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


# --- What a module does --------------------------------------------------------------------------


def foreign_model(module: nn.Module, spec: Spec) -> SegModel:
    """The model of a module, once a trial run has shown that it does what `spec` says.

    A module that gives two classes a channel each gets one channel for both, as in all our models:
    the difference of the logits, whose sigmoid is the softmax of the two.

    Raises
    ------
    ShapeError
        If output and input differ in size, or `multiple` is too small.
    DataError
        If the number of channels is not that of the classes, or the activation is another.
    """
    given = spec.in_channels
    spec = replace(spec, in_channels=given or first_channels(module))
    if spec.in_channels is None:
        return SegModel(module, spec)
    out = trial(module, spec)
    if out is None:
        # it may want a size of its own; then its first use tells, and a guess must not stand
        return SegModel(module, replace(spec, in_channels=given))
    check_activation(out, spec)
    if spec.classes is None:
        return SegModel(module, spec)
    channels = out.shape[1]
    if len(spec.classes) == 2 and channels == 2:
        sigmoid = spec.activated == "softmax"
        return SegModel(OneChannel(module, sigmoid), spec)
    if channels != spec.out_channels:
        raise DataError(
            f"The network returns {channels} channel(s), and {len(spec.classes)} classes need "
            f"{spec.out_channels}.",
            hint="Two classes take one channel or two; more take one each, in their order.",
            argument="classes",
        )
    return SegModel(module, spec)


class OneChannel(nn.Module):
    """Two channels of a module as one that stands for the second class.

    Input: what `module` takes. Output: `[N, 1, H, W]`, a logit, or a probability if `activated`.
    """

    def __init__(self, module: nn.Module, activated: bool) -> None:
        super().__init__()
        self.module = module
        self.activated = activated

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The second channel as a probability, or its logit minus the first's."""
        out = take_tensor(self.module(x))
        return out[:, 1:] if self.activated else out[:, 1:] - out[:, :1]


def first_channels(module: nn.Module) -> int | None:
    """Channels that the first convolution takes: the best guess at those of the image."""
    convolutions = (m for m in module.modules() if isinstance(m, nn.Conv2d))
    first = next(convolutions, None)
    return None if first is None else first.in_channels


def trial(module: nn.Module, spec: Spec) -> torch.Tensor | None:
    """What the module returns for a small image of noise, with its autograd history.

    Returns
    -------
    torch.Tensor or None
        `[1, K, H, W]`; None where the module can't run on images of this kind at all, as those of
        volumes can't.

    Raises
    ------
    ShapeError
        If the output's size is not the input's, or only a greater `multiple` would do.
    """
    if dims_of(module) == 3:  # of one channel, PyTorch would take the image for a volume
        return None
    first = None
    for multiple in [spec.multiple, *(m for m in (2, 4, 8, 16, 32, 64) if m > spec.multiple)]:
        ran = run_once(module, spec.in_channels, multiple)
        if ran is None:
            continue
        size, out = ran
        first = first or (size, out.shape[2:])
        if out.shape[2:] != size:
            continue
        if multiple == spec.multiple:
            return out
        raise ShapeError(
            f"The network doesn't take images of any size, and `multiple` is {spec.multiple}.",
            hint=f"Set `multiple = {multiple}`: images are padded to it, and results cropped back.",
            argument="multiple",
        )
    if first is None:
        return None
    raise ShapeError(
        "The network returns {1[0]} x {1[1]} pixels for an image of {0[0]} x {0[1]}.".format(
            *first
        ),
        hint="Put it into a module that enlarges the result to the size of the image.",
        argument="module",
    )


def run_once(
    module: nn.Module, channels: int, multiple: int
) -> tuple[torch.Size, torch.Tensor] | None:
    """Size of an image of noise, and what the module returns for it; None where that fails.

    The image's sides are different odd multiples; the module runs in evaluation mode.

    Raises
    ------
    DataError
        If the output is no tensor `[N, K, H, W]`.
    """
    height = multiple * (max(3, -(-64 // multiple)) | 1)
    parameter = next(module.parameters(), torch.empty(0))
    noise = torch.rand(1, channels, height, height + 2 * multiple, generator=torch.Generator())
    # no leaf, since networks that work in place on their input could not do so on one
    x = noise.to(parameter).requires_grad_() * 1
    modes = {m: m.training for m in module.modules()}
    try:
        with quiet(), torch.enable_grad():
            out = module.eval()(x)
    except Exception:
        return None
    finally:
        for m, training in modes.items():
            m.training = training
    return x.shape[2:], require_tensor(out)


def require_tensor(out: Any) -> torch.Tensor:
    """The tensor `[N, K, H, W]` in a module's output."""
    tensor = out if not isinstance(out, dict) or "out" in out else None
    tensor = take_tensor(tensor)
    if isinstance(tensor, torch.Tensor) and tensor.dim() == 4:
        return tensor
    raise DataError(
        f"The network returns {described(out)}, and must return a tensor [N, K, H, W], or a "
        'dictionary that holds it as "out".',
        hint="Put it into a module whose forward() does.",
        argument="module",
    )


def described(out: Any) -> str:
    """A few words about a module's output."""
    if isinstance(out, torch.Tensor):
        return f"a tensor of size {' x '.join(map(str, out.shape))}"
    if isinstance(out, dict):
        return f"a dictionary of {', '.join(map(str, out))}"
    return f"a {type(out).__name__}"


def check_activation(out: torch.Tensor, spec: Spec) -> None:
    """Raise a DataError where the activation that the user named is not the network's."""
    last = type(out.grad_fn).__name__
    ends = next((a for a in ("sigmoid", "softmax") if last.lower() == f"{a}backward0"), None)
    if spec.activated == "none" and ends is not None:
        raise DataError(
            f"The network ends in a {ends} itself; another would follow.",
            hint=f'Set `activation = "{ends}"`.',
            argument="activation",
        )
    if spec.activated != "none" and (out.min() < 0 or out.max() > 1):
        raise DataError(
            f"The network returns values from {out.min():.3g} to {out.max():.3g}, which are no "
            f"probabilities of a {spec.activated}.",
            hint='Set `activation = "none"` for a network that returns logits.',
            argument="activation",
        )
    wrong = {"sigmoid": out.shape[1] > 1, "softmax": out.shape[1] == 1}
    if spec.classes is not None and wrong.get(spec.activated, False):
        raise DataError(
            f"The network returns {out.shape[1]} channel(s), which a {spec.activated} does not "
            "turn into probabilities of classes that exclude each other.",
            hint="Leave `classes` out to get its values as they are.",
            argument="activation",
        )
