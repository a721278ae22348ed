"""Callbacks of our own: when they stop, and what they write."""

import csv

import keras
import numpy as np
import pytest
from maskr import storage, training
from maskr.arrays import IGNORE
from maskr.errors import DataError, MissingPackageError, ShapeError
from maskr.training.pictures import Key, as_rgb, draw, indices_of, overlay
from PIL import Image
from runs import EARLY, fit, model_of, valid

KEY = {"names": ["background", "nucleus"], "colours": ["#000000", "#E69F00"],
       "clear": [True, False], "ignored": "#E0E0C0"}


def stopping(**settings):
    return [EARLY | settings]


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("monitor", "values", "patience", "epochs"), [
    ("val_loss", [3, 2, 2.5, 2.4, 1], 2, 4),  # falls: the second is the best
    ("val_loss", [3, 2, 2.5, 1.9, 1.8], 2, 5),
    ("val_iou", [0.1, 0.3, 0.2, 0.3, 0.9], 2, 4),  # rises; as good is no better
    ("iou", [0.1, 0.2, 0.15, 0.3, 0.4], 1, 3),
])
def test_early_stopping_knows_the_direction(monitor, values, patience, epochs):
    class Script(keras.callbacks.Callback):
        """Overwrites a metric before the others see it."""

        def on_epoch_end(self, epoch, logs=None):
            logs[monitor] = values[epoch]

    found = fit(model_of(), epochs=5, callbacks=[
        Script(), *stopping(monitor=monitor, patience=patience)
    ])
    assert max(found["epoch"]) == epochs
    assert found["stopped"] == ("early stopping" if epochs < 5 else "")


def test_improvements_below_min_delta_do_not_count():
    callbacks = stopping(min_delta=0.5, patience=2)
    found = fit(model_of(learning_rate=1e-6), epochs=5, callbacks=callbacks)
    assert max(found["epoch"]) == 3 and found["stopped"] == "early stopping"


def test_an_impossible_monitor_is_an_error_before_an_epoch_is_spent():
    events = []
    with pytest.raises(DataError, match='no metric "val_f2"') as error:
        fit(model_of(), callbacks=stopping(monitor="val_f2"), progress=events.append)
    assert "val_iou" in error.value.hint
    with pytest.raises(DataError, match="no validation data") as error:
        fit(model_of(), callbacks=stopping(), validation=None, progress=events.append)
    assert '"loss"' in error.value.hint
    assert not any(event["event"] == "batch" for event in events)


@pytest.mark.parametrize("value", ["x", {"kind": "magic"}, {"name": "early_stopping"}])
def test_what_is_no_callback_is_an_error(value):
    with pytest.raises(DataError, match="is not a callback"):
        fit(model_of(), callbacks=[value])


def test_the_best_and_the_last_model_are_written(tmp_path):
    model = model_of(learning_rate=0.3)
    found = fit(model, callbacks=[{"kind": "checkpoint", "folder": str(tmp_path / "models")}],
                restore_best=False)
    losses = [v for m, d, v in zip(found["metric"], found["data"], found["value"], strict=True)
              if (m, d) == ("loss", "valid")]
    for name, loss in (("last", losses[-1]), ("best", min(losses))):
        other = model_of()
        saved = storage.load(str(tmp_path / "models" / f"{name}.keras"), other.module)
        training.compile(saved, metrics=["iou"])
        assert evaluated(saved) == pytest.approx(loss, abs=1e-6)


def evaluated(model):
    from maskr.datasets.loader import DataSpec, Loader

    with Loader(DataSpec(**valid()), model.spec) as loader:
        return model.evaluate(loader, verbose=0)[0]


def test_the_table_has_a_row_for_each_epoch(tmp_path):
    path = tmp_path / "log file.csv"
    path.write_text("what was there before\n")
    found = fit(model_of(), epochs=2, callbacks=[{"kind": "csv_log", "path": str(path)}])
    rows = rows_of(path)
    assert list(rows[0]) == ["epoch", "loss", "iou", "val_loss", "val_iou"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["loss"]) for row in rows] == [found["value"][0], found["value"][4]]


def test_a_resumed_table_goes_on_after_the_last_finished_epoch(tmp_path):
    path = tmp_path / "log.csv"
    log = {"kind": "csv_log", "path": str(path)}
    fit(model_of(), epochs=3, callbacks=[log])
    whole = path.read_text()
    fit(model_of(), tmp_path / "run", epochs=2, callbacks=[log])
    # a row that was written although its epoch's checkpoint was not
    path.write_text(path.read_text() + "3,9,9,9,9\n")
    fit(model_of(), tmp_path / "run", epochs=3, callbacks=[log])
    assert path.read_text() == whole
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column of epochs"):
        fit(model_of(), tmp_path / "run", epochs=4, callbacks=[log])


def test_tensorboard_gets_metrics_learning_rate_and_pictures(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = {"kind": "tensorboard", "folder": str(tmp_path / "board")}
    pictures = {"kind": "pictures", "images": valid(), "folder": str(tmp_path / "pictures"),
                "n": 1, "key": KEY}
    scheduled = {"schedule": {"name": "cosine"}}
    found = fit(model_of(**scheduled), epochs=2, callbacks=[board, pictures])
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {"learning_rate", "loss/train", "loss/valid", "iou/train",
                                    "iou/valid"}
    assert [e.step for e in events.Scalars("loss/valid")] == [1, 2]
    assert events.Scalars("loss/train")[0].value == pytest.approx(found["value"][0])
    rates = [e.value for e in events.Scalars("learning_rate")]
    assert 0 < rates[1] < rates[0] < 0.02
    assert [image.step for image in events.Images("samples")] == [1, 2]


def test_without_tensorboard_the_error_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingPackageError, match="tensorboard") as error:
        fit(model_of(), callbacks=[{"kind": "tensorboard", "folder": str(tmp_path / "board")}])
    assert 'seg_install(extras = "tensorboard")' in error.value.hint
    assert not (tmp_path / "board").exists()


def test_a_picture_is_written_and_shown_after_each_epoch(tmp_path):
    shown = []
    pictures = {"kind": "pictures", "images": valid(), "folder": str(tmp_path / "p"), "n": 2,
                "key": KEY, "show": shown.append}
    plain, drawn = model_of(), model_of()
    first = fit(plain, epochs=2, callbacks=[])
    second = fit(drawn, epochs=2, callbacks=[pictures])
    assert first["value"] == second["value"]
    names = ["epoch-001.png", "epoch-002.png"]
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == names
    assert shown == [str(tmp_path / "p" / name) for name in names]
    with Image.open(shown[0]) as drawing:
        width, height = drawing.size
    assert width == 3 * 300 + 4 * 8
    assert height > 2 * round(300 * 20 / 28)


def test_images_without_truth_are_drawn_too(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(np.full((30, 20), 90, np.uint8)).save(path)
    images = [str(path), np.random.default_rng(1).random((20, 28))]
    pictures = {"kind": "pictures", "images": images, "folder": str(tmp_path / "p"), "n": 9,
                "key": KEY}
    fit(model_of(), epochs=1, callbacks=[pictures])
    with Image.open(tmp_path / "p" / "epoch-001.png") as drawing:
        assert drawing.size[0] == 2 * 300 + 3 * 8
    volume = {"images": [np.zeros((1, 4, 8, 8), np.float32)]}
    with pytest.raises(ShapeError, match="volume"):
        fit(model_of(), callbacks=[pictures | volume])


def test_classes_are_drawn_in_their_colours():
    key = Key(["background", "a", "b"], ["#000000", "#FF0000", "#0000FF"], [True, False, False],
              "#FFFFFF")
    indices = np.zeros((9, 15), int)
    indices[:, 5:10] = 1
    indices[:, 10:] = 2
    indices[:, 12:] = IGNORE
    under = np.full((9, 15, 3), 100, np.uint8)
    over = overlay(under, indices, key)
    assert over[4, 2].tolist() == [100, 100, 100]  # the background is clear
    assert over[4, 7].tolist() == [178, 50, 50]  # half of red and half of grey
    assert over[4, 5].tolist() == [255, 0, 0] and over[4, 9].tolist() == [255, 0, 0]
    assert over[4, 10].tolist() == [0, 0, 255]
    assert over[4, 14].tolist() == [178, 178, 178]


def test_images_of_any_range_and_channels_become_rgb():
    ramp = np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 6, 8)
    assert as_rgb(ramp)[0, 0].tolist() == [0, 0, 0] and as_rgb(ramp).max() == 255
    hounsfield = ramp * 2000 - 1000
    assert as_rgb(hounsfield).min() == 0 and as_rgb(hounsfield).max() == 255
    five = np.concatenate([ramp, 0 * ramp, 1 - ramp, ramp, ramp])
    assert as_rgb(five)[0, 0].tolist() == [0, 0, 255]
    assert as_rgb(np.zeros((2, 3, 4), np.float32)).tolist() == np.zeros((3, 4, 3)).tolist()


def test_class_ids_become_indices_whatever_their_order():
    ids = np.array([[9, 0, 4], [4, 9, 9]])
    assert indices_of(ids, [4, 9, 0]).tolist() == [[1, 2, 0], [0, 1, 1]]


def test_long_legends_break_into_lines():
    names = [f"class number {i}" for i in range(12)]
    key = Key(names, ["#E69F00"] * 12, [False] * 12, "#E0E0C0")
    image = np.zeros((1, 20, 10), np.float32)
    picture = draw([[image, None, np.zeros((20, 10), int)]], key, "epoch 1")
    assert picture.shape[0] > 300 + 26 + 5 * 20
