"""Training: the best epoch, exact metrics, interrupts, and what Keras does wrongly by itself.

Of the traps of Keras on torch: modes of training and prediction are tested in `test_model.py`
(statistics move in fit and nowhere else), as are frozen statistics, saving and counting.
"""

import warnings

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


def test_networks_are_in_evaluation_mode_but_for_training():
    model = model_of()
    assert not any(module.training for module in model.module.modules())
    seen = []
    model.module.register_forward_hook(lambda module, *_: seen.append(module.training))
    training.fit(model, data(), epochs=1)
    assert seen == [True] * 3
    assert not any(module.training for module in model.module.modules())


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
    assert kinds == ["begin", *["batch"] * 3, "epoch", *["batch"] * 3, "epoch"]
    assert events[0]["epoch"] == 0 and events[1]["batches"] == 3 and events[-1]["epoch"] == 2
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


class Ruin(keras.callbacks.Callback):
    """Makes a network all NaN."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            with torch.no_grad():
                for parameter in self.model.module.parameters():
                    parameter.fill_(float("nan"))


@pytest.mark.parametrize("valid", [None, data(2, seed=5)])
def test_the_last_finite_epoch_is_kept_and_no_other_is_the_best(valid):
    model = model_of()
    result = training.fit(model, data(), valid, epochs=4, precision="float32",
                          callbacks=[Ruin(3)])
    assert result["stopped"] == "not finite" and max(result["epoch"]) == 3
    assert result["best_epoch"] == 2
    assert all(value.isfinite().all() for value in model.module.state_dict().values())
    assert result["diverged"]


@pytest.mark.parametrize("restore_best", [True, False])
def test_a_training_that_diverges_at_once_leaves_the_initial_weights(restore_best):
    model = model_of()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    result = training.fit(model, data(), epochs=4, precision="float32", callbacks=[Ruin(1)],
                          restore_best=restore_best)
    assert result["best_epoch"] == 0 and result["diverged"]
    for name, value in model.module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    # NaN in the optimizer's moments would spoil the next training too
    again = training.fit(model, data(), epochs=1, precision="float32")
    assert not again["diverged"] and again["best_epoch"] == 1


class RuinAfterwards(keras.callbacks.Callback):
    """Makes a network all NaN by the last step of an epoch, whose loss is still finite."""

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.params["steps"]:
            with torch.no_grad():
                next(self.model.module.parameters()).fill_(float("nan"))


def test_a_last_step_that_ruins_the_weights_is_noticed(tmp_path):
    model = model_of()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    result = training.fit(model, data(), epochs=3, precision="float32",
                          callbacks=[RuinAfterwards()], resume=str(tmp_path / "run"))
    assert result["stopped"] == "not finite" and result["best_epoch"] == 0
    for name, value in model.module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert list((tmp_path / "run").iterdir()) == []


def test_weights_that_are_not_finite_can_not_be_trained():
    model = model_of()
    with torch.no_grad():
        model.module.encoder1.enc1norm1.running_mean.fill_(float("inf"))
    with pytest.raises(DataError, match="encoder1.enc1norm1.running_mean"):
        training.fit(model, data(), epochs=1)


def test_without_validation_an_interrupt_keeps_the_last_finished_epoch():
    def progress(event):
        if event["event"] == "batch" and event["epoch"] == 3:
            raise KeyboardInterrupt

    model, whole = model_of(), model_of()
    result = training.fit(model, data(), epochs=9, precision="float32", seed=1,
                          progress=progress)
    training.fit(whole, data(), epochs=2, precision="float32", seed=1)
    assert (result["stopped"], result["best_epoch"]) == ("interrupted", 2)
    ours, theirs = model.module.state_dict(), whole.module.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_volumes_train_alike_twice():
    rng = np.random.default_rng(0)
    volumes = [rng.random((16, 16, 16, 1)) for _ in range(4)]
    fields = {"images": volumes, "targets": [(v[..., 0] > 0.5).astype(np.int32) for v in volumes],
              "names": list("abcd"), "class_ids": [0, 1], "batch_size": 4, "threads": 1, "seed": 1}

    def trained():
        model = builders.build("unet3d", 1, BINARY, {"init_features": 2}, seed=1)
        loss = values(training.fit(model, fields, epochs=3, seed=3), "loss", "train")
        return loss, model.module.state_dict()

    (loss, weights), (again, others) = trained(), trained()
    assert loss == again
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


def test_wrong_names_and_channels_are_errors():
    with pytest.raises(DataError, match='no optimizer "adamm"'):
        model_of(optimizer="adamm")
    with pytest.raises(DataError, match='no metric "iuo"'):
        model_of(metrics=["iuo"])
    with pytest.raises(DataError, match="learning_rate"):
        model_of(optimizer=keras.optimizers.SGD())
    fields = data(2)
    fields["images"] = [np.linspace(0, 1, 24 * 32 * 3).reshape(24, 32, 3)] * 2
    with pytest.raises(ShapeError, match="3 channels"):
        training.fit(model_of(), fields, epochs=1)


def test_keras_early_stopping_restores_weights_but_ours_restores_statistics_too():
    states = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            states.append({k: v.clone() for k, v in self.model.module.state_dict().items()})

    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=9,
                                         restore_best_weights=True)
    for valid in (None, data(2, seed=5)):
        states.clear()
        model = model_of()
        result = training.fit(model, data(), valid, epochs=9, precision="float32",
                              callbacks=[Keep(), stop])
        # Keras puts the first epoch's weights back, and leaves the last one's statistics
        assert stop.best_epoch == 0 and len(states) == 2
        kept = states[result["best_epoch"] - 1]
        assert all(torch.equal(v, kept[k]) for k, v in model.module.state_dict().items())
    assert result["warnings"] == []


def test_keras_callbacks_set_the_learning_rate_and_see_all_events():
    events = []
    look = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: events.append("begin"),
        on_epoch_begin=lambda epoch, logs: events.append(epoch),
        on_train_batch_end=lambda batch, logs: events.append(sorted(logs)),
        on_epoch_end=lambda epoch, logs: events.append(sorted(logs)),
        on_train_end=lambda logs: events.append("end"),
    )
    reduce = keras.callbacks.ReduceLROnPlateau("val_loss", 0.5, patience=1, min_delta=9)
    model = model_of()
    training.fit(model, data(2), data(2), epochs=3, callbacks=[look, reduce])
    own = ["dice", "iou", "loss"]
    every = sorted([*own, *(f"val_{name}" for name in own)])
    assert events[:4] == ["begin", 0, own, every]
    assert events[-1] == "end"
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0025)


def test_what_callbacks_warn_of_is_returned_and_not_printed():
    stop = keras.callbacks.EarlyStopping("val_f2", mode="max")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = training.fit(model_of(), data(2), epochs=1, callbacks=[stop])
    assert len(result["warnings"]) == 1 and "val_f2" in result["warnings"][0]


def test_callbacks_that_could_not_keep_their_word_are_refused(tmp_path):
    keep = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
    with pytest.raises(DataError, match="does not restore the order") as error:
        training.fit(model_of(), data(2), epochs=1, callbacks=[keep])
    assert error.value.argument == "callbacks"
    reduce = keras.callbacks.ReduceLROnPlateau()
    with pytest.raises(DataError, match="schedule"):
        training.fit(model_of(schedule={"name": "cosine"}), data(2), epochs=1, callbacks=[reduce])
    with pytest.raises(DataError, match="is not a callback"):
        training.fit(model_of(), data(2), epochs=1, callbacks=["stop"])


def test_a_frozen_model_and_an_unknown_monitor_are_errors_before_anything_is_read():
    unreadable = data(2) | {"images": ["nothere.png"] * 2}
    model = model_of()
    with pytest.raises(DataError, match='no metric "val_f2"') as error:
        training.fit(model, unreadable, epochs=1, monitor="val_f2")
    assert error.value.hint == "This model has loss, val_loss, iou, val_iou, dice, val_dice."
    model.set_trainable(["*"], False)
    with pytest.raises(DataError, match="All layers are frozen"):
        training.fit(model, unreadable, epochs=1)


def test_what_was_replaced_or_thawed_behind_keras_is_trained():
    # Keras alone goes on with the parameters that it saw when the module was wrapped
    model = model_of()
    training.fit(model, data(2), epochs=1)
    model.module.conv = torch.nn.Conv2d(2, 1, 1)
    model.module.encoder1.requires_grad_(False)
    before = {k: v.detach().clone() for k, v in model.module.named_parameters()}
    training.fit(model, data(2), epochs=1)
    after = dict(model.module.named_parameters())
    assert not torch.equal(before["conv.weight"], after["conv.weight"])
    assert torch.equal(before["encoder1.enc1conv1.weight"], after["encoder1.enc1conv1.weight"])
    model.module.encoder1.requires_grad_(True)
    training.fit(model, data(2), epochs=1)
    assert not torch.equal(before["encoder1.enc1conv1.weight"], after["encoder1.enc1conv1.weight"])
    assert {id(p) for p in after.values()} == {id(v.value) for v in model.trainable_variables}
    assert {id(p) for p in after.values()} == {id(p) for p in model.parameters()}


def test_class_weights_act_in_one_training_alone():
    def loss_of(model, **options):
        result = training.fit(model, data(2, batch_size=2), epochs=1, precision="float32", seed=1,
                              **options)
        return values(result, "loss", "train")[0]

    for name in ("cross_entropy", "bce"):
        weighted = [{"name": name, "arguments": {"class_weights": [1.0, 7.0]}}]
        expected = loss_of(model_of(loss=weighted))
        model = model_of(loss=[{"name": name}])
        loss = model.loss
        assert loss_of(model, class_weights=[1.0, 7.0]) == pytest.approx(expected)
        assert model.loss is loss
        assert loss_of(model_of(loss=[{"name": name}])) != pytest.approx(expected)
    with pytest.raises(DataError, match="one of Keras's"):
        loss_of(model_of(loss=keras.losses.BinaryCrossentropy()), class_weights=[1.0, 7.0])
    with pytest.raises(DataError, match="class weights"):
        loss_of(model_of(loss=[{"name": "lovasz"}]), class_weights=[1.0, 7.0])


def test_weights_per_pixel_are_refused():
    # with a scalar loss Keras would multiply it by their mean
    model = model_of()
    x, y = torch.rand(2, 1, 16, 16), torch.zeros(2, 16, 16).long()
    with pytest.raises(DataError, match="per sample or pixel"):
        model.fit(x, y, sample_weight=torch.rand(2, 16, 16), verbose=0)


def test_keras_own_iou_is_refused():
    for metric in (keras.metrics.MeanIoU(2), keras.metrics.BinaryIoU()):
        with pytest.raises(DataError, match="ignored pixels"):
            model_of(metrics=[metric])


@pytest.mark.parametrize("loss", [
    keras.losses.BinaryCrossentropy(), keras.losses.MeanSquaredError(), keras.losses.Dice(),
])
def test_keras_losses_for_one_channel_compare_pixel_with_pixel(loss):
    model = model_of(loss=loss)
    # heights are padded to multiples of 16, and what is padded is ignored
    x, y = Loader(DataSpec(**data(2, shuffle=False)), model.spec)[0]
    found = float(model.test_step((x, y))["loss"])
    with torch.no_grad():
        expected = loss(y[y != IGNORE].float(), model(x)[:, 0][y != IGNORE])
    assert found == pytest.approx(float(expected), abs=1e-5)


def test_what_of_keras_misreads_our_shapes_is_refused():
    with pytest.raises(DataError, match="BinaryAccuracy does not fit") as error:
        model_of(metrics=[keras.metrics.BinaryAccuracy()])
    assert error.value.argument == "metrics"
    model = builders.build("unet", 1, BINARY | {"debris": 2}, {"init_features": 2}, seed=1)
    for loss in (keras.losses.MeanSquaredError(), keras.losses.binary_crossentropy):
        with pytest.raises(DataError, match=r"\[N, 3, H, W\]"):
            training.compile(model, loss=loss)
    precise = keras.metrics.Precision()
    model_of(metrics=[precise])
    assert float(precise.result()) == 0


def test_keras_metrics_and_losses_go_with_ours():
    def wrong(y, p):
        return (p.argmax(dim=1) != y).float().mean()

    model = builders.build("unet", 1, BINARY | {"debris": 2}, {"init_features": 2}, seed=1)
    loss = keras.losses.SparseCategoricalCrossentropy(axis=1, ignore_class=IGNORE)
    metrics = ["iou", keras.metrics.MeanMetricWrapper(wrong, name="pixel_error")]
    training.compile(model, loss=loss, metrics=metrics)
    fields = {"class_ids": [0, 1, 2]}
    result = training.fit(model, data(**fields), data(2, **fields), epochs=3, precision="float32",
                          monitor="val_pixel_error")
    assert result["best_epoch"] == int(np.argmin(values(result, "pixel_error", "valid"))) + 1


def test_a_mixed_policy_of_keras_changes_nothing():
    def train():
        model = model_of()
        result = training.fit(model, data(2), epochs=1, precision="float32", seed=1)
        x = torch.rand(1, 1, 16, 32, generator=torch.Generator().manual_seed(1))
        return result["value"], model.predict(x, verbose=0), float(model(x).sum())

    expected = train()
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        found = train()
    finally:
        keras.config.set_dtype_policy(policy)
    assert found[0] == expected[0] and found[2] == expected[2]
    np.testing.assert_array_equal(found[1], expected[1])


def test_bfloat16_trains_as_well_and_keeps_float32_parameters():
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = model_of()
        result = training.fit(model, data(), epochs=4, precision=precision, seed=1)
        losses[precision] = values(result, "loss", "train")[-1]
        assert {p.dtype for p in model.module.parameters()} == {torch.float32}
        assert model.precision == "float32"
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["bfloat16"] != losses["float32"]


def test_deterministic_holds_while_training_alone():
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: seen.append(torch.are_deterministic_algorithms_enabled())
    )
    training.fit(model_of(), data(2), epochs=1, callbacks=[look], deterministic=True)
    training.fit(model_of(), data(2), epochs=1, callbacks=[look])
    assert seen == [True, False]
    assert not torch.are_deterministic_algorithms_enabled()

    def fail(*_):
        raise RuntimeError("nll_loss2d does not have a deterministic implementation, but you set")

    fails = keras.callbacks.LambdaCallback(on_epoch_end=fail)
    with pytest.raises(DataError, match="nll_loss2d exactly") as error:
        training.fit(model_of(), data(2), epochs=1, callbacks=[fails], deterministic=True)
    assert error.value.argument == "deterministic"


def test_everything_at_once_goes_on_where_it_was_broken_off(tmp_path):
    settings = {"optimizer": "adamw", "ema": 0.9, "accumulate": 2, "clip_norm": 1.0,
                "schedule": {"name": "cosine", "warmup": 0.5}, "layer_rates": {"encoder": 0.5}}
    options = {"epochs": 4, "precision": "float32", "seed": 1, "freeze_epochs": 1}

    def train(folder, **more):
        model = model_of(**settings)
        result = training.fit(model, data(), data(2, seed=5), resume=str(folder), **options, **more)
        return model, result

    def interrupt(event):
        if event["event"] == "batch" and (event["epoch"], event["batch"]) == (3, 2):
            raise KeyboardInterrupt

    whole, expected = train(tmp_path / "whole")
    broken, first = train(tmp_path / "broken", progress=interrupt)
    assert first["stopped"] == "interrupted" and max(first["epoch"]) == 2
    resumed, result = train(tmp_path / "broken")
    assert result["value"] == expected["value"]
    state = resumed.module.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in whole.module.state_dict().items())
