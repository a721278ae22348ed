"""`SegModel`: any semantic segmentation `nn.Module` as a `keras.Model` on Keras's torch backend."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import keras
import torch

from maskr import architectures, device, keras_losses, layers, members
from maskr.errors import DataError, ShapeError
from maskr.outputs import take_tensor
from maskr.spec import Spec
from maskr.words import counted

if TYPE_CHECKING:
    from maskr.training.distributed import Team


@keras.saving.register_keras_serializable(package="maskr")
class SegModel(keras.Model):
    """A PyTorch network with classes, preprocessing and an activation, trainable by Keras.

    Calling it takes a float tensor `[N, C, H, W]` (already preprocessed; H and W multiples of
    `spec.multiple`) and returns probabilities `[N, K, H, W]`, by sigmoid where K is 1, else by
    softmax. Without `training = True` it runs in evaluation mode: dropout off, batch
    normalisation frozen.

    Attributes
    ----------
    precision
        What `call()` computes in; parameters are float32 always, whatever Keras's global policy.
    frozen
        Dotted names of the modules that keep weights and statistics in training.
    notes
        What a builder adapted to fit channels or classes: a tuple, since Keras keeps lists as
        objects of its own.
    recipe
        What `training.compile()` settled beside Keras's own settings; None if it wasn't called, or
        Keras's own `compile()` was called after it.
    update
        What makes a step of the gradients in `training.fit()`; None is the optimizer alone.
    dims
        2 for a network of images, 3 for one of volumes.
    layout
        The order of memory in which images go through the network, see `device.layout()`. Whoever
        builds a network lays its weights out alike; a model leaves them as they are.
    team
        The processes that share each batch (`training.distributed.Team`); None is this one alone.
    """

    def __init__(self, module: torch.nn.Module, spec: Spec, **kwargs: str) -> None:
        # a mixed policy would cast inputs, which the module's float32 parameters then refuse
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.spec = spec
        self.precision = "float32"
        self.frozen: frozenset[str] = frozenset()
        self.notes: tuple[str, ...] = ()
        self.recipe: object | None = None
        self.update: Callable[[], None] | None = None
        self.team: Team | None = None
        self.layout = device.layout(module)
        self.dims = architectures.dims_of(module)
        self.network = TorchModuleWrapper(module, name="network", dtype="float32")
        self.built = True

    @classmethod
    def from_architecture(cls, spec: Spec, seed: int | None = None) -> "SegModel":
        """A model of a registered architecture in evaluation mode, initialised from `seed`."""
        with torch.random.fork_rng(enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            module = architectures.build(
                spec.architecture, spec.in_channels, spec.out_channels, **spec.arguments
            )
        return cls(device.laid_out(module.eval()), spec)

    @property
    def module(self) -> torch.nn.Module:
        """The PyTorch network itself."""
        return self.network.module

    @property
    def recipe(self) -> object | None:
        """The recipe of the last `compile()`, if that was maskr's."""
        settled, configuration = self._recipe
        return settled if configuration is getattr(self, "_compile_config", None) else None

    @recipe.setter
    def recipe(self, value: object | None) -> None:
        self._recipe = value, getattr(self, "_compile_config", None)

    def call(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        """Probabilities `[N, K, H, W]` of preprocessed images `[N, C, H, W]`."""
        return self._probabilities(self._run(x, bool(training)))

    def _run(self, x: torch.Tensor, training: bool) -> torch.Tensor | dict:
        """The module's own output."""
        self._set_mode(training)
        if x.ndim == 4:
            x = x.to(memory_format=self.layout)
        try:
            with device.autocast(x.device.type, self.precision):
                return self.module(x)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ShapeError(
                f"A batch of {counted(len(x), 'image')} of {' x '.join(map(str, x.shape[2:]))} "
                "pixels shrinks to one value per channel, on which batch normalisation cannot "
                "train.",
                hint="Use larger images, or batch_size = 2 or more.",
                argument="batch_size",
            ) from error

    def _outputs(
        self, x: torch.Tensor, y: torch.Tensor, training: bool
    ) -> tuple[torch.Tensor | dict, torch.Tensor]:
        """The module's outputs for a batch and its targets, of the whole team if there is one."""
        if self.team is None:
            return self._run(x, training), y
        x, y = self.team.even(x, y)
        return self.team.gather(self._run(x, training), y)

    def _probabilities(self, outputs: torch.Tensor | dict) -> torch.Tensor:
        out = take_tensor(outputs).float()
        if self.spec.activated != "none":
            return out
        # our losses compute on the logits, so that gradients need no way through the activation
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._loss_takes_logits()):
            probabilities = activate(out)
        # Keras's own activations leave the logits here too
        probabilities._keras_logits = out
        return probabilities

    def _loss_takes_logits(self) -> bool:
        # only maskr's losses, which can't be imported here, know class weights
        return self.compiled and hasattr(self.loss, "with_class_weights")

    def _set_mode(self, training: bool) -> None:
        # Keras's wrapper trains unless told otherwise, and keeps frozen layers' batch
        # normalisation in training mode, whose statistics would then still move.
        self.network.train(training)
        if training and self.frozen:
            for name, module in members.named_modules(self.module):
                if name in self.frozen:
                    module.eval()

    def train_step(self, data: tuple) -> dict:
        """Learn from a batch `(x, y)`, by `update` if there is one; the metrics so far."""
        x, y, weights = unpack(data)
        outputs, y = self._outputs(x, y, training=True)
        predicted = self._probabilities(outputs)
        loss = self._loss_of(x, y, predicted, weights, training=True)
        if isinstance(outputs, dict) and hasattr(self.module, "auxiliary_loss"):
            floats = {name: value.float() for name, value in outputs.items()}
            loss = loss + self.module.auxiliary_loss(floats, y)
        loss.backward()
        if self.update is None:
            self._apply_gradients()
        else:
            self.update()
        return self.compute_metrics(x, y, predicted.detach(), weights)

    def test_step(self, data: tuple) -> dict:
        """Judge a batch `(x, y)`; the metrics so far."""
        x, y, weights = unpack(data)
        outputs, y = self._outputs(x, y, training=False)
        predicted = self._probabilities(outputs)
        self._loss_of(x, y, predicted, weights, training=False)
        return self.compute_metrics(x, y, predicted, weights)

    def _loss_of(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        predicted: torch.Tensor,
        weights: torch.Tensor | None,
        training: bool,
    ) -> torch.Tensor:
        if self._loss_takes_logits():
            loss = self.loss(y, predicted, sample_weight=weights)
        else:
            batch = y, predicted, weights
            beside_one = predicted.shape[1] == 1 and y.ndim < predicted.ndim
            if beside_one and keras_losses.is_of_keras(self.loss):
                batch = keras_losses.counted(*batch)
            names = "y", "y_pred", "sample_weight"
            loss = self._compute_loss(
                x=x, training=training, **dict(zip(names, batch, strict=True))
            )
        self._loss_tracker.update_state(loss.detach(), sample_weight=y.shape[0])
        return loss

    @torch.no_grad()
    def _apply_gradients(self) -> None:
        variables = [v for v in self.trainable_variables if v.value.grad is not None]
        self.optimizer.apply([v.value.grad for v in variables], variables)
        for variable in variables:
            variable.value.grad = None

    def set_trainable(self, patterns: list[str], trainable: bool) -> list[str]:
        """Freeze or thaw the modules whose dotted name matches a pattern such as "encoder*".

        Returns the matched names. A compiled model gets a fresh optimizer of the same settings
        where its own does not know the layers that are thawed.

        Raises
        ------
        DataError
            If a pattern matches no module, or the network can't be trained at all.
        """
        require_trainable(self.module)
        modules = dict(members.named_modules(self.module))
        names: list[str] = []
        for pattern in patterns:
            names += [name for name in layers.find(self.module, pattern) if name not in names]
        self.adopt()
        variables = {id(v.value): v for v in self.network.variables}
        for name in names:
            for parameter in members.parameters(modules[name]):
                variables[id(parameter)].trainable = trainable
        inside = layers.within(self.module, names)
        self.frozen = self.frozen - inside if trainable else self.frozen | inside
        self._check_optimizer()
        return [name for name in names if name.rpartition(".")[0] not in names]

    def adopt(self) -> None:
        """Take over whatever was done to the module since it was wrapped.

        Keras would silently never train layers that were replaced or thawed behind its back.
        """
        parameters = {id(p): p for p in members.parameters(self.module)}
        tracked = {id(v.value): v for v in self.network.variables}
        if tracked.keys() != parameters.keys():
            for key in tracked.keys() - parameters.keys():
                self.network._untrack_variable(tracked[key])
            self.network._tracker.unlock()
            for key in [key for key in parameters if key not in tracked]:
                self.network._track_variable(
                    keras.Variable(parameters[key], trainable=parameters[key].requires_grad)
                )
            self._track_variables()
        for variable in self.network.variables:
            if variable.trainable != variable.value.requires_grad:
                variable.trainable = variable.value.requires_grad
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        """Exchange an optimizer that does not know all variables that are to be trained."""
        optimizer = getattr(self, "optimizer", None)
        if optimizer is None or not optimizer.built:
            return
        known = {id(v) for v in optimizer._trainable_variables}
        if not known.issuperset(id(v) for v in self.trainable_variables):
            self.renew_optimizer()

    def renew_optimizer(self) -> None:
        """Exchange the optimizer for a fresh one of the same settings."""
        self.optimizer = renewed(self.optimizer)

    def get_config(self) -> dict:
        """The specification, from which `from_config()` rebuilds the network by name."""
        return {"spec": self.spec.to_dict()}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> "SegModel":
        """The model that `get_config()` described, freshly initialised."""
        return cls.from_architecture(Spec.from_dict(config["spec"]))


class TorchModuleWrapper(keras.layers.TorchModuleWrapper):
    """Keras's own, under its own name, which is part of saved files; it finds hidden parameters."""

    def parameters(self, recurse: bool = True) -> Iterator[torch.nn.Parameter]:
        """The parameters of the network."""
        return torch.nn.Module.parameters(self.module, recurse)

    def _track_module_parameters(self) -> None:
        for parameter in members.parameters(self.module):
            self._track_variable(keras.Variable(parameter, trainable=parameter.requires_grad))
        self.built = True


def renewed(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer of the same settings that has taken no step yet."""
    return type(optimizer).from_config(optimizer.get_config())


def require_trainable(module: torch.nn.Module) -> None:
    """Raise a DataError for a network that can't be trained at all."""
    if members.is_script(module):
        raise DataError(
            "A TorchScript network runs as it is, so it can't be trained, frozen or thawed.",
            hint="Build the network in Python, and give it to seg_wrap() as a module.",
            argument="object",
        )


def unpack(data: tuple) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Images, targets and weights of a batch, on the device of Keras's scope."""
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    x = keras.ops.convert_to_tensor(x, dtype="float32")
    return x, keras.ops.convert_to_tensor(y), weights


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
