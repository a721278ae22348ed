"""`SegLoss`: a weighted sum of losses as Keras's `compile()` takes it."""

from collections.abc import Sequence

import keras
import torch

from maskr.errors import DataError
from maskr.losses.batch import Batch, target_indices
from maskr.losses.registry import LOSSES, arguments_of, takes_class_weights
from maskr.model import logits_of


@keras.saving.register_keras_serializable(package="maskr")
class SegLoss(keras.losses.Loss):
    """A sum of losses, a scalar over the whole batch.

    Parameters
    ----------
    terms
        One dict `{"name", "arguments", "weight"}` a loss: a name in `LOSSES`, that function's
        arguments, and what its value is multiplied by. The last two may be missing.

    Raises
    ------
    DataError
        If a name or an argument is unknown.
    """

    def __init__(self, terms: Sequence[dict]) -> None:
        self.terms = [
            {
                "name": term["name"],
                "arguments": dict(term.get("arguments", {})),
                "weight": float(term.get("weight", 1)),
            }
            for term in terms
        ]
        for term in self.terms:
            check_term(term)
        super().__init__(name="_".join(term["name"] for term in self.terms))

    # Not `call()`: Keras would cast the targets to float and average a scalar.
    def __call__(
        self, y_true: torch.Tensor, y_pred: torch.Tensor, sample_weight: None = None
    ) -> torch.Tensor:
        """The loss of a batch: class indices as `target_indices()` takes them, and what a model
        returned for it, `[N, K, H, W]` or `[N, K, D, H, W]`.
        """
        if sample_weight is not None:
            raise DataError(
                "Weights per sample or pixel have no meaning for this loss.",
                hint="Weigh classes by the loss's own `class_weights`, or draw rare samples more "
                "often by `seg_dataset(sample_weights = )`.",
            )
        logits = logits_of(y_pred)
        batch = Batch(logits, target_indices(y_true))
        with torch.autocast(logits.device.type, enabled=False):
            values = [
                term["weight"] * LOSSES[term["name"]](batch, **term["arguments"])
                for term in self.terms
            ]
        return sum(values[1:], start=values[0])

    def with_class_weights(self, weights: Sequence[float]) -> "SegLoss":
        """The same loss, in which every term that takes class weights has these.

        They replace a term's own. One weight per class, in the order of the model's classes.

        Raises
        ------
        DataError
            If no term takes class weights.
        """
        able = takes_class_weights()
        if not any(term["name"] in able for term in self.terms):
            raise DataError(
                f"No class weights can be given to {self.name}.",
                hint=f"Losses that take them are {', '.join(able)}.",
                argument="class_weights",
            )
        given = {"class_weights": [float(weight) for weight in weights]}
        return SegLoss([
            {**term, "arguments": term["arguments"] | (given if term["name"] in able else {})}
            for term in self.terms
        ])

    def get_config(self) -> dict:
        """The terms."""
        return {"terms": self.terms}


def check_term(term: dict) -> None:
    """Raise a DataError if there is no such loss, or it has no such argument."""
    name = term["name"]
    if name not in LOSSES:
        raise DataError(f'There is no loss "{name}".', hint=f"Losses are {', '.join(LOSSES)}.")
    known = arguments_of(name)
    unknown = [argument for argument in term["arguments"] if argument not in known]
    if unknown:
        raise DataError(
            f'The loss "{name}" has no argument `{unknown[0]}`.',
            hint=f"It has {', '.join(known)}." if known else "It has none.",
            argument=unknown[0],
        )


def from_r(terms: list[dict]) -> SegLoss:
    """The `SegLoss` of the terms that R's `seg_loss()` holds."""
    return SegLoss(terms)
