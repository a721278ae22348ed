"""Slices and boxes of volumes as samples: values against the volumes, choice, pairing, training."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from maskr import cases, images, training
from maskr.arrays import IGNORE
from maskr.datasets import volume
from maskr.datasets.loader import Loader
from maskr.datasets.spec import DataSpec
from maskr.errors import DataError, FormatError
from maskr.model import SegModel
from maskr.spec import Spec
from PIL import Image

nib = pytest.importorskip("nibabel")

READING = {"ignore": 255, "values": None, "explicit": False, "classes": None}
SHAPE = (6, 5, 4)
"""(i, j, k), so volumes here are 4 x 5 x 6."""


def scan(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)


def marks(shape=SHAPE):
    """Labels with an object in slices 1 and 2, and void in slice 3."""
    ids = np.zeros(shape, np.uint8)
    ids[1:3, 2:4, 1], ids[4, 1, 2], ids[:, :, 3:] = 1, 2, 255
    return ids


def save(path, stored):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(stored, np.diag([1, 2, 3, 1.0])), path)
    return str(path)


def save_pair(folder, ending=".nii.gz"):
    return save(folder / f"ct{ending}", scan()), save(folder / f"ct_seg{ending}", marks())


def parts(root, targets, reading=READING, **choice):
    return volume.r_parts([root], None, [targets], choice, reading, seed=1)


def part(path, box, axis=-1, **more):
    return {"volume": path, "box": list(box), "axis": axis, **more}


# ---- reading parts -------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_holds_the_values_of_the_volume(tmp_path, ending, axis):
    path, labels = save_pair(tmp_path, ending)
    found = parts(path, labels, axis=axis, empty=True)
    assert len(found["box"]) == SHAPE[::-1][axis]
    expected = np.take(scan().T, 2, axis=axis)
    one = part(path, found["box"][2], axis)
    np.testing.assert_array_equal(volume.load_image(one)[0], expected / np.float32(32767))
    windowed = volume.load_image(one | {"window": [-500, 500]})
    np.testing.assert_allclose(windowed[0], np.clip((expected + 500) / 1000, 0, 1), rtol=1e-6)
    ids = volume.load_ids(part(labels, found["box"][2], axis, ignored=found["ignored"][0]), None)
    stored = np.take(marks().T, 2, axis=axis).astype(int)
    np.testing.assert_array_equal(ids, np.where(stored == 255, IGNORE, stored))


def test_a_box_holds_the_values_of_the_volume_in_all_channels(tmp_path):
    paths = [save(tmp_path / f"ct_000{n}.nii.gz", scan(n)) for n in (0, 1)]
    box = [1, 0, 2, 3, 4, 2]
    read = volume.load_image(part(paths, box, window=[0, 1]))
    assert read.shape == (2, 3, 4, 2)
    for n in (0, 1):
        np.testing.assert_array_equal(read[n], np.clip(scan(n).T[1:4, 0:4, 2:4], 0, 1))


def test_infinite_values_are_refused(tmp_path):
    path = save(tmp_path / "a.nii", np.full(SHAPE, np.inf, np.float32))
    with pytest.raises(DataError, match=r"a\.nii holds infinite"):
        volume.load_image(part(path, [0, 0, 0, 1, 5, 6], 0))


def test_a_stack_of_images_is_a_volume_in_natural_order(tmp_path):
    pixels = np.arange(11 * 3 * 4, dtype=np.uint8).reshape(11, 3, 4)
    for n in range(11):
        Image.fromarray(pixels[n]).save(tmp_path / f"s{n + 1}.png")
    read = volume.load_image(part(str(tmp_path), [9, 0, 0, 1, 3, 4], 0))
    np.testing.assert_array_equal(read[0], pixels[9] / np.float32(255))
    across = volume.load_image(part(str(tmp_path), [0, 1, 0, 11, 1, 4], 1))
    np.testing.assert_array_equal(across[0], pixels[:, 1] / np.float32(255))
    Image.fromarray(pixels[0, :2]).save(tmp_path / "s4.png")
    with pytest.raises(FormatError, match="Slice 4 of"):
        volume.load_image(part(str(tmp_path), [3, 0, 0, 1, 3, 4], 0))


def test_index_pngs_are_labels_by_their_index(tmp_path):
    for n in range(2):
        image = Image.fromarray(np.array([[0, n, 2]], np.uint8), mode="P")
        image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
        image.save(tmp_path / f"{n}.png")
    ids = volume.load_ids(part(str(tmp_path), [0, 0, 0, 2, 1, 3], ignored=[]), None)
    assert ids.tolist() == [[[0, 0, 2]], [[0, 1, 2]]]


def test_the_shared_tiff_volume(shared_data):
    path, labels = shared_data("stardist/img3d.tif"), shared_data("stardist/mask3d.tif")
    found = parts(path, labels, axis=0)
    whole = images.decode(path)
    assert len(found["box"]) + found["left_out"] == 31
    assert len(found["ids"]) == 52
    at = found["box"][5]
    read = volume.load_image(part(path, at, 0))
    np.testing.assert_array_equal(read[0], whole[at[0], :, :, 0] / np.float32(65535))


def test_the_shared_dicom_series_and_its_labels(shared_data):
    series = shared_data("volumes/example_ct_dicom")
    labels = shared_data("volumes/example_seg_dicom.nii.gz")
    found = parts(series, labels, axis=0)
    assert len(found["box"]) == 20 and len(found["ids"]) == 32
    read = volume.load_image(part(series, found["box"][7], 0, window=[-1000, 1000]))
    assert read.shape == (1, 512, 512) and 0 <= read.min() < read.max() <= 1


def test_the_last_volumes_are_kept_up_to_a_number_of_bytes():
    kept = volume.Kept(100)
    reads = []

    def read(name, size):
        reads.append(name)
        return np.zeros(size, np.uint8)

    for name, size in (("a", 60), ("b", 30), ("a", 60), ("c", 50), ("b", 30), ("d", 500)):
        assert kept.get((name,), lambda name=name, size=size: read(name, size)).nbytes == size
    assert reads == ["a", "b", "c", "b", "d"]
    assert list(kept.items) == [("d",)]
    with pytest.raises(ZeroDivisionError):
        kept.get(("e",), lambda: 1 / 0)
    assert kept.get(("e",), lambda: read("e", 1)).nbytes == 1


# ---- choosing parts ------------------------------------------------------------------------------


def test_empty_slices_are_left_out_unless_they_are_wanted(tmp_path):
    pair = save_pair(tmp_path)
    found = parts(*pair, axis=0)
    assert found["box"][:, 0].tolist() == [1, 2]
    assert found["left_out"] == 2 and found["ids"].tolist() == [0, 1, 2]
    assert found["ignored"] == [[255]]
    assert len(parts(*pair, axis=0, empty=True)["box"]) == 4


def test_a_grid_covers_the_volume_and_stays_inside():
    for shape, patch, overlap in (((7, 9, 4), (3, 4, 8), 0.5), ((5, 6, 7), (5, 2, 3), 0)):
        seen = np.zeros(shape, int)
        for box in volume.grid_boxes(shape, patch, overlap):
            place = tuple(slice(box[a], box[a] + box[a + 3]) for a in range(3))
            assert seen[place].shape == tuple(np.minimum(shape, patch))
            seen[place] += 1
        assert seen.min() >= 1


def test_drawn_boxes_hold_an_object_and_repeat_with_their_seed(tmp_path):
    pair = save_pair(tmp_path)
    found = parts(*pair, axis=None, patch=(2, 2, 2), number=20)
    ids = np.where(marks().T == 255, 0, marks().T)
    assert found["box"].shape == (20, 6)
    assert all(volume.has_object(ids > 0, box) for box in found["box"])
    again = parts(*pair, axis=None, patch=(2, 2, 2), number=20)
    np.testing.assert_array_equal(again["box"], found["box"])
    free = parts(*pair, axis=None, patch=(2, 2, 2), number=20, empty=True)["box"]
    assert (free[:, :3] + free[:, 3:] <= SHAPE[::-1]).all() and (free[:, :3] >= 0).all()


def test_what_255_means_is_settled_by_the_whole_file(tmp_path):
    ids = marks()
    ids[ids == 2] = 0
    # one slice of 0 and 255 only, in a file that also holds 1
    ids[0, 0, 1] = 255
    path, labels = save(tmp_path / "a.nii", scan()), save(tmp_path / "b.nii", ids)
    found = parts(path, labels, axis=0, empty=True)
    read = volume.load_ids(part(labels, found["box"][1], 0, ignored=found["ignored"][0]), None)
    assert read[0, 0] == IGNORE and read[2, 1] == 1
    binary = save(tmp_path / "c.nii", (ids == 1).astype(np.uint8) * 255)
    with pytest.raises(DataError, match="0 and 255"):
        parts(path, binary, axis=0)
    found = parts(path, binary, READING | {"values": [0, 255]}, axis=0)
    one = part(binary, found["box"][0], 0, ignored=found["ignored"][0])
    assert np.unique(volume.load_ids(one, [0, 255])).tolist() == [0, 1]


# ---- finding volumes -----------------------------------------------------------------------------


def test_nnunet_folders_with_channels_and_classes(tmp_path):
    for name in ("b", "a"):
        save(tmp_path / "labelsTr" / f"{name}.nii.gz", marks())
        for channel in range(2):
            save(tmp_path / "imagesTr" / f"{name}_000{channel}.nii.gz", scan(channel))
    save(tmp_path / "imagesTs" / "t_0000.nii.gz", scan())
    labels = {"background": 0, "liver": 1, "tumour": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    found, classes = cases.find_cases([str(tmp_path)])
    assert [one.name for one in found] == ["a", "b"] and classes == labels
    assert [Path(p).name for p in found[0].images] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    older = {str(i): name for name, i in labels.items()}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": older}))
    assert cases.find_cases([str(tmp_path)], "train")[1] == labels
    with pytest.raises(FormatError, match='for the split "test"'):
        cases.find_cases([str(tmp_path)], "test")
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(FormatError, match=r"dataset\.json"):
        cases.find_cases([str(tmp_path)])


def test_volumes_and_labels_are_matched_by_name(tmp_path):
    for name in ("p1", "p10", "p2"):
        save(tmp_path / "ct" / f"{name}.nii", scan())
        save(tmp_path / "seg" / f"{name}_seg.nii", marks())
    places = [[str(tmp_path / name)] for name in ("ct", "seg")]
    found, _ = cases.find_cases(places[0], targets=places[1])
    assert [one.name for one in found] == ["p1", "p2", "p10"]
    assert found[2].labels.endswith("p10_seg.nii")
    (tmp_path / "seg" / "p2_seg.nii").rename(tmp_path / "seg" / "p3_seg.nii")
    with pytest.raises(FormatError, match=r"without labels: p2; .*volume: p3_seg\.nii"):
        cases.find_cases(places[0], targets=places[1])
    with pytest.raises(FormatError, match="labels of the volumes"):
        cases.find_cases([found[0].images[0]])


def test_folders_of_images_and_labels_below_a_split(tmp_path):
    save(tmp_path / "train" / "images" / "a.nii", scan())
    save(tmp_path / "train" / "masks" / "a.nii", marks())
    assert cases.find_cases([str(tmp_path)], "train")[0][0].name == "a"
    with pytest.raises(FormatError, match="has no folders"):
        cases.find_cases([str(tmp_path)])


def test_what_a_folder_holds(tmp_path):
    stack = tmp_path / "stack"
    stack.mkdir()
    for n in (10, 9):
        tifffile.imwrite(stack / f"{n}.tif", np.zeros((3, 4), np.uint8))
    assert cases.list_volumes([str(stack)], "root") == [str(stack)]
    assert cases.list_volumes([str(tmp_path)], "root") == [str(stack)]
    tifffile.imwrite(tmp_path / "v.tif", np.zeros((2, 3, 4), np.uint8), photometric="minisblack")
    assert cases.list_volumes([str(tmp_path)], "root") == [str(tmp_path / "v.tif")]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FormatError, match="holds no volume"):
        cases.list_volumes([str(empty)], "root")


def test_labels_on_another_grid_are_refused(tmp_path):
    path = save(tmp_path / "a.nii", scan())
    labels = save(tmp_path / "b.nii", marks((6, 5, 3)))
    with pytest.raises(FormatError, match="4 x 5 x 6 voxels .* have 3 x 5 x 6"):
        parts(path, labels, axis=0)


# ---- in the loader -------------------------------------------------------------------------------


def spec_of(found, paths, axis, **options):
    ignored = found["ignored"][0]
    return DataSpec(
        images=[part(paths[0], box, axis, window=[-1000, 1000]) for box in found["box"]],
        targets=[part(paths[1], box, axis, ignored=ignored) for box in found["box"]],
        names=[str(n) for n in range(len(found["box"]))],
        class_ids=[0, 1, 2], shuffle=False, **options,
    )  # fmt: skip


def test_the_loader_delivers_slices(tmp_path):
    pair = save_pair(tmp_path)
    data = spec_of(parts(*pair, axis=0), pair, 0, batch_size=2)
    spec = Spec("unet", {}, 1, {"background": 0, "a": 1, "b": 2}, multiple=8)
    with Loader(data, spec) as loader:
        x, y = loader[0]
    assert x.shape == (2, 1, 8, 8) and y.shape == (2, 8, 8)
    np.testing.assert_allclose(x[0, 0, :5, :6], (scan().T[1] + 1000) / 2000, rtol=1e-5)
    assert y[0, :5, :6].tolist() == marks().T[1].tolist() and (y[0, 5:] == IGNORE).all()


class Tiny(torch.nn.Module):
    """One 3D convolution."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv3d(1, 3, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


def test_boxes_train_a_3d_network(tmp_path):
    pair = save_pair(tmp_path)
    found = parts(*pair, axis=None, patch=(3, 4, 4), number=6)
    data = spec_of(found, pair, -1, batch_size=3)
    spec = Spec("wrapped", {}, 1, {"background": 0, "a": 1, "b": 2}, multiple=4)
    with Loader(data, spec) as loader:
        x, y = loader[0]
    assert x.shape == (3, 1, 4, 4, 4) and y.shape == (3, 4, 4, 4)
    d, h, w = found["box"][0][:3]
    expected = (scan().T[d : d + 3, h : h + 4, w : w + 4] + 1000) / 2000
    np.testing.assert_allclose(x[0, 0, :3], expected, rtol=1e-5)
    assert (y[0, 3:] == IGNORE).all()
    model = SegModel(Tiny(), spec)
    fields = {name: getattr(data, name) for name in data.__dataclass_fields__}
    history = training.fit(model, fields, epochs=2, precision="float32", seed=1)
    assert history["stopped"] == ""
    losses = [v for v, m in zip(history["value"], history["metric"], strict=True) if m == "loss"]
    assert losses[1] < losses[0]
