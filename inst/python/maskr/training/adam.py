"""Keras's Adam and AdamW by one pass over the weights.

Keras's own step goes through weights, gradients and moments a dozen times, each from memory and
back; on a CPU that takes up to ten times as long as torch's kernel, which goes once.
"""

import contextlib
import functools
import math
from collections.abc import Iterator

import keras
import torch
from torch.optim.adam import adam


@contextlib.contextmanager
def fused(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Make an Adam or AdamW of Keras's take its steps by torch's kernel meanwhile.

    Whatever Keras does around a step (clipping, weight decay, counting) it still does; other
    optimizers stay as they are.
    """
    of_keras = type(optimizer).__module__.startswith("keras.")
    if not (of_keras and isinstance(optimizer, keras.optimizers.Adam)):
        yield
        return
    optimizer._parallel_update_step = functools.partial(step, optimizer)
    try:
        yield
    finally:
        del optimizer._parallel_update_step


@torch.no_grad()
def step(
    optimizer: keras.optimizers.Adam,
    gradients: list[torch.Tensor],
    variables: list[keras.Variable],
    learning_rate: torch.Tensor | float,
) -> None:
    """Keras's step, to the rounding of its last digit."""
    parameters = [variable.value for variable in variables]
    if not all(map(suits, parameters)):
        type(optimizer)._parallel_update_step(optimizer, gradients, variables, learning_rate)
        return
    places = [optimizer._get_variable_index(variable) for variable in variables]

    def states(of: list[keras.Variable]) -> list[torch.Tensor]:
        return ordered([of[place].value for place in places], parameters)

    done = int(optimizer.iterations)
    adam(
        parameters,
        ordered(gradients, parameters),
        states(optimizer._momentums),
        states(optimizer._velocities),
        states(optimizer._velocity_hats) if optimizer.amsgrad else [],
        list(torch.full((len(parameters),), float(done)).unbind()),
        fused=True,
        amsgrad=optimizer.amsgrad,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        lr=float(learning_rate),
        weight_decay=0.0,
        # Keras adds its epsilon to the root of the second moment before the correction of its bias
        eps=optimizer.epsilon / math.sqrt(1 - optimizer.beta_2 ** (done + 1)),
        maximize=False,
    )


def suits(parameter: torch.Tensor) -> bool:
    """Tell whether the kernel may take a parameter: all it sees is a row of numbers in memory."""
    channels_last = parameter.ndim == 4 and parameter.is_contiguous(
        memory_format=torch.channels_last
    )
    is_dense = parameter.is_contiguous() or channels_last
    return is_dense and parameter.device.type == "cpu" and parameter.dtype == torch.float32


def ordered(
    tensors: list[torch.Tensor], parameters: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Tensors, in place, in the order of memory of their parameters."""
    for tensor, parameter in zip(tensors, parameters, strict=True):
        if tensor.stride() != parameter.stride():
            tensor.data = torch.empty_like(parameter).copy_(tensor)
    return tensors
