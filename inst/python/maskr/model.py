"""`SegModel`: any semantic segmentation `nn.Module` as a `keras.Model` on Keras's torch backend."""

import fnmatch

import keras
import torch

from maskr import architectures, device
from maskr.errors import DataError
from maskr.spec import Spec


@keras.saving.register_keras_serializable(package="maskr")
class SegModel(keras.Model):
    """A PyTorch network with classes, preprocessing and an activation, trainable by Keras.

    Calling it takes a float tensor `[N, C, H, W]` (already preprocessed; H and W multiples of
    `spec.multiple`) and returns probabilities `[N, K, H, W]`, by sigmoid where K is 1, else by
    softmax. Without `training = True` it runs in evaluation mode: dropout off, batch
    normalisation frozen.
    """

    def __init__(self, module: torch.nn.Module, spec: Spec, **kwargs: str) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.precision = "float32"
        self.frozen: frozenset[str] = frozenset()
        self.network = keras.layers.TorchModuleWrapper(module, name="network")
        self.built = True

    @classmethod
    def from_architecture(cls, spec: Spec, seed: int | None = None) -> "SegModel":
        """A model of a registered architecture, initialised from `seed`."""
        with torch.random.fork_rng(enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            module = architectures.build(
                spec.architecture, spec.in_channels, spec.out_channels, **spec.arguments
            )
        return cls(module, spec)

    @property
    def module(self) -> torch.nn.Module:
        """The PyTorch network itself."""
        return self.network.module

    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        """Probabilities `[N, K, H, W]` of preprocessed images `[N, C, H, W]`."""
        self._set_mode(bool(training))
        if x.ndim == 4:
            x = x.to(memory_format=torch.channels_last)
        with device.autocast(x.device.type, self.precision):
            out = take_tensor(self.module(x)).float()
        if self.spec.activated != "none":
            return out
        probabilities = activate(out)
        # Keras's own activations leave the logits here too; our losses compute on them
        probabilities._keras_logits = out
        return probabilities

    def _set_mode(self, training: bool) -> None:
        # Keras's wrapper trains unless told otherwise, and keeps frozen layers' batch
        # normalisation in training mode, whose statistics would then still move.
        self.network.train(training)
        for name, module in self.module.named_modules():
            if training and name in self.frozen:
                module.eval()

    def set_trainable(self, patterns: list[str], trainable: bool) -> list[str]:
        """Freeze or thaw the modules whose dotted name matches a pattern such as "encoder*".

        Returns the matched names. A compiled model gets a fresh optimizer of the same settings,
        since an optimizer is bound to the weights that it was built for.

        Raises
        ------
        DataError
            If a pattern matches no module.
        """
        modules = dict(self.module.named_modules())
        del modules[""]
        names = []
        for pattern in patterns:
            matched = fnmatch.filter(modules, pattern)
            if not matched:
                tops = ", ".join(name for name, _ in self.module.named_children())
                raise DataError(
                    f'No layer is called "{pattern}".',
                    hint=f"The layers are {tops}; `*` stands for any characters.",
                    argument="layers",
                )
            names += [name for name in modules if name in matched and name not in names]

        variables = {id(v.value): v for v in self.network.variables}
        for name in names:
            for parameter in modules[name].parameters():
                variables[id(parameter)].trainable = trainable
        inside = {n for n in modules for name in names if n == name or n.startswith(name + ".")}
        self.frozen = self.frozen - inside if trainable else self.frozen | inside
        if getattr(self, "optimizer", None) is not None:
            self.optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        return [name for name in names if name.rpartition(".")[0] not in names]

    def get_config(self) -> dict:
        """The specification, from which `from_config()` rebuilds the network by name."""
        return {"spec": self.spec.to_dict()}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> "SegModel":
        """The model that `get_config()` described, freshly initialised."""
        return cls.from_architecture(Spec.from_dict(config["spec"]))


def take_tensor(out: torch.Tensor | dict) -> torch.Tensor:
    """The logits of a module's output; torchvision's networks return them under "out"."""
    return out["out"] if isinstance(out, dict) else out


def activate(logits: torch.Tensor) -> torch.Tensor:
    """Probabilities of logits `[N, K, ...]`: sigmoid for one channel, softmax over more."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def logits_of(probabilities: torch.Tensor) -> torch.Tensor:
    """The logits `[N, K, H, W]` behind a model's output.

    A network that returns logits left them on the tensor; for one that ends in its own activation
    they are its inverse, clamped to stay finite.
    """
    logits = getattr(probabilities, "_keras_logits", None)
    if logits is not None:
        return logits
    epsilon = torch.finfo(probabilities.dtype).eps
    clamped = probabilities.clamp(epsilon, 1 - epsilon)
    return torch.logit(clamped) if probabilities.shape[1] == 1 else clamped.log()
