"""Training: the best epoch, exact metrics, interrupts, and what Keras does wrongly by itself."""

import keras
import numpy as np
import pytest
import torch
from maskr import builders, inference, training
from maskr.arrays import IGNORE
from maskr.datasets.loader import DataSpec, Loader
from maskr.errors import DataError, ShapeError
from maskr.metrics.semantic import scores
from maskr.metrics.training import ConfusionMetric

BINARY = {"background": 0, "nucleus": 1}


def data(n=6, seed=0, **options):
    rng = np.random.default_rng(seed)
    images = [rng.random((24, 32)) for _ in range(n)]
    targets = [(image > 0.5).astype(np.int32) for image in images]
    fields = {"images": images, "targets": targets, "names": [str(i) for i in range(n)],
              "class_ids": [0, 1], "batch_size": 2, "threads": 1, "seed": 1}
    return fields | options


def model_of(seed=1, **options):
    model = builders.build("unet", 1, BINARY, {"init_features": 2}, seed=seed)
    training.compile(model, **({"learning_rate": 0.01} | options))
    return model


def values(result, metric, part):
    rows = zip(result["metric"], result["data"], result["value"], strict=True)
    return [v for m, d, v in rows if (m, d) == (metric, part)]


def test_the_loss_falls_and_the_history_is_long():
    result = training.fit(model_of(), data(), epochs=4, precision="float32", seed=1)
    loss = values(result, "loss", "train")
    assert len(loss) == 4 and loss[-1] < loss[0]
    assert result["epoch"][:3] == [1, 1, 1]
    assert set(result["metric"]) == {"loss", "iou", "dice"}
    assert (result["best_epoch"], result["stopped"]) == (4, "")


def test_the_best_epoch_is_restored_with_its_statistics():
    class Spoil(keras.callbacks.Callback):
        """Makes all epochs after the second bad, statistics included."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                with torch.no_grad():
                    self.model.module.conv.bias.add_(20)
                    self.model.module.encoder1.enc1norm1.running_mean.add_(5)

    model = model_of(learning_rate=1e-4)
    valid = data(2, seed=5, shuffle=False)
    result = training.fit(model, data(), valid, epochs=4, precision="float32",
                          monitor="val_loss", callbacks=[Spoil()], seed=1)
    assert result["best_epoch"] <= 2
    best = min(values(result, "loss", "valid"))
    again = model.evaluate(Loader(DataSpec(**valid), model.spec), verbose=0)
    assert again[0] == pytest.approx(best, abs=1e-5)


def test_a_metric_that_rises_is_judged_the_other_way_round():
    valid = data(2, seed=5)
    result = training.fit(model_of(), data(), valid, epochs=3, monitor="val_iou",
                          precision="float32")
    iou = values(result, "iou", "valid")
    assert result["best_epoch"] == int(np.argmax(iou)) + 1


def test_an_unknown_monitor_is_an_error_that_lists_metrics():
    with pytest.raises(DataError, match='no metric "val_f2"') as error:
        training.fit(model_of(), data(2), data(2), epochs=1, monitor="val_f2")
    assert "val_loss" in error.value.hint


def test_an_interrupt_keeps_the_best_so_far():
    model = model_of()
    states = []

    def progress(event):
        if event["event"] == "epoch":
            states.append({k: v.clone() for k, v in model.module.state_dict().items()})
        if event["event"] == "batch" and event["epoch"] == 3:
            raise KeyboardInterrupt

    result = training.fit(model, data(), data(2, seed=5), epochs=9, precision="float32",
                          progress=progress)
    assert result["stopped"] == "interrupted"
    assert max(result["epoch"]) == 2
    best = states[result["best_epoch"] - 1]
    assert all(torch.equal(v, best[k]) for k, v in model.module.state_dict().items())


def test_progress_reports_every_batch():
    events = []
    training.fit(model_of(), data(5), epochs=2, progress=events.append)
    kinds = [e["event"] for e in events]
    assert kinds == ["begin", *["batch"] * 3, "epoch", *["batch"] * 3, "epoch", "end"]
    assert events[1]["batches"] == 3 and events[-2]["epoch"] == 2
    assert set(events[4]["metrics"]) == {"loss", "iou", "dice"}


def test_metrics_are_of_all_pixels_not_a_mean_of_batches():
    model = model_of(metrics=["iou", "dice", "pixel_accuracy"])
    valid = data(5, seed=3, batch_size=2, shuffle=False)
    valid["targets"][0] = np.zeros((24, 32), dtype=np.int32)
    result = training.fit(model, data(), valid, epochs=1, precision="float32", seed=2)
    confusion = inference.evaluate(model, valid, "float32")["confusion"]
    figures = scores(confusion)
    assert values(result, "iou", "valid")[0] == pytest.approx(figures["iou"][1], abs=1e-3)
    assert values(result, "dice", "valid")[0] == pytest.approx(figures["dice"][1], abs=1e-3)
    accuracy = values(result, "pixel_accuracy", "valid")[0]
    assert accuracy == pytest.approx(figures["pixel_accuracy"], abs=1e-3)


def test_a_metric_counts_exactly_and_skips_ignored_pixels():
    metric = ConfusionMetric("iou", channels=3)
    truth = torch.tensor([[[0, 1, 2, IGNORE], [0, 1, 1, 2]]])
    predicted = torch.tensor([[[0, 1, 1, 0], [0, 0, 1, 2]]])
    one_hot = torch.nn.functional.one_hot(predicted, 3).permute(0, 3, 1, 2).float()
    metric.update_state(truth, one_hot)
    # by hand: class 0: 2 of 3; class 1: 2 of 4; class 2: 1 of 2
    assert metric.result() == pytest.approx((2 / 3 + 2 / 4 + 1 / 2) / 3)
    metric.reset_state()
    assert metric.result() == 0
    for _ in range(3):  # float32 stops counting here
        metric.confusion.assign_add(torch.full((3, 3), 2**24 + 1, dtype=torch.int64))
    assert int(metric.confusion.value[0, 0]) == 3 * (2**24 + 1)


def test_training_twice_from_one_seed_gives_the_same_weights():
    def train(seed):
        model = model_of()
        training.fit(model, data(threads=2, seed=seed), epochs=2, precision="float32", seed=seed)
        return torch.cat([p.flatten() for p in model.module.parameters()])

    assert torch.equal(train(3), train(3))
    assert not torch.equal(train(3), train(4))


def test_uncompiled_models_get_the_defaults():
    model = builders.build("unet", 1, BINARY | {"debris": 2}, {"init_features": 2}, seed=1)
    fields = data(2) | {"class_ids": [0, 1, 2]}
    training.fit(model, fields, epochs=1)
    assert model.loss.name == "cross_entropy"
    model = builders.build("unet", 1, BINARY, {"init_features": 2}, seed=1)
    training.fit(model, data(2), epochs=1)
    assert model.loss.name == "bce_dice"


def test_a_loss_that_is_not_finite_stops_and_says_so():
    model = model_of(learning_rate=1e30)
    result = training.fit(model, data(), epochs=9, precision="float32")
    assert result["stopped"] == "not finite"
    assert max(result["epoch"]) < 9


def test_wrong_names_and_channels_are_errors():
    with pytest.raises(DataError, match='no optimizer "adamm"'):
        model_of(optimizer="adamm")
    with pytest.raises(DataError, match='no metric "iuo"'):
        model_of(metrics=["iuo"])
    with pytest.raises(DataError, match="learning_rate"):
        model_of(optimizer=keras.optimizers.SGD())
    fields = data(2)
    fields["images"] = [np.zeros((24, 32, 3))] * 2
    with pytest.raises(ShapeError, match="3 channels"):
        training.fit(model_of(), fields, epochs=1)
