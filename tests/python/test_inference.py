"""Prediction against the bare module, for any size, kind and precision."""

import numpy as np
import pytest
import torch
from maskr import builders, inference
from maskr.architectures import dims_of
from maskr.errors import DataError, ShapeError
from maskr.metrics import semantic
from maskr.model import SegModel
from maskr.spec import Spec
from torch import nn

BINARY = {"background": 0, "nucleus": 4}
THREE = {"background": 0, "circle": 1, "square": 5}


def model_of(classes=BINARY, channels=3, **options):
    model = builders.build("unet", channels, classes, {"init_features": 4}, seed=3, **options)
    generator = torch.Generator().manual_seed(1)
    for buffer in model.module.buffers():  # statistics that folding must not lose
        if buffer.is_floating_point():
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return model


def bare(model, image):
    """The module in eval(), on an image whose size needs no padding."""
    x = torch.from_numpy(model.spec.preprocess(image.transpose(2, 0, 1).astype(np.float32)))
    model.module.eval()
    with torch.no_grad():
        return model.module(x[None])[0].numpy().transpose(1, 2, 0)


def predict(model, images, kind, precision="float32", **options):
    return inference.predict(model, images, kind, precision=precision, **options)["results"]


@pytest.fixture
def image(rng):
    return np.asfortranarray(rng.random((48, 80, 3)))


@pytest.mark.parametrize("classes", [BINARY, THREE])
def test_equals_the_bare_module(image, classes):
    model = model_of(classes, preprocess={"per_image": "standardise"})
    logits = bare(model, image)
    np.testing.assert_allclose(predict(model, [image], "logit")[0], logits, atol=1e-4)
    prob = predict(model, [image], "prob")[0]
    np.testing.assert_allclose(prob.sum(axis=2), 1, atol=1e-6)
    ids = np.array(list(classes.values()))
    if len(classes) == 2:
        foreground = 1 / (1 + np.exp(-logits[..., 0]))
        np.testing.assert_allclose(prob[..., 1], foreground, atol=1e-4)
        expected = ids[(foreground >= 0.5).astype(int)]
    else:
        expected = ids[logits.argmax(axis=2)]
    assert (predict(model, [image], "mask")[0] == expected).mean() > 0.9999


def test_reduced_precision_gives_nearly_the_same(image):
    model = model_of()
    exact = predict(model, [image], "prob")[0]
    rough = predict(model, [image], "prob", precision="bfloat16")[0]
    assert np.abs(rough - exact).max() < 0.02


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 33), (31, 211)])
def test_any_size_comes_back_in_its_own_size(size, rng):
    model = model_of()
    assert predict(model, [rng.random((*size, 3))], "mask")[0].shape == size


def test_padding_reflects_the_image(rng):
    model = model_of()
    image = rng.random((45, 70, 3))
    padded = np.pad(image, ((0, 3), (0, 10), (0, 0)), mode="reflect")
    expected = bare(model, padded)[:45, :70]
    np.testing.assert_allclose(predict(model, [image], "logit")[0], expected, atol=1e-4)


def test_batches_do_not_mix_images_and_order_is_kept(rng):
    model = model_of()
    images = [rng.random((h, w, 3)) for h, w in [(32, 48)] * 3 + [(16, 16)] + [(32, 48)] * 2]
    together = predict(model, images, "logit", batch_size=2)
    for one, image in zip(together, images, strict=True):
        np.testing.assert_allclose(one, predict(model, [image], "logit")[0], atol=1e-4)


def test_progress_counts_to_the_end(rng):
    seen = []
    predict(model_of(), [rng.random((16, 16, 3))] * 3, "mask", batch_size=2,
            progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_threshold_decides(image):
    model = model_of()
    foreground = predict(model, [image], "prob")[0][..., 1]
    for threshold in (0.0, float(np.median(foreground)), 1.0):
        mask = predict(model, [image], "mask", threshold=threshold)[0]
        assert (mask == np.where(foreground >= threshold, 4, 0)).mean() > 0.999


def test_grey_becomes_three_channels_and_others_are_an_error(rng):
    model = model_of()
    grey = rng.random((16, 32))
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    one, three = predict(model, [grey], "logit")[0], predict(model, [rgb], "logit")[0]
    np.testing.assert_allclose(one, three, atol=1e-6)
    with pytest.raises(ShapeError, match="5 channels"):
        predict(model, [rng.random((16, 16, 5))], "mask")


def two_layers():
    """A network of two layers that is folded where such folding is done, and its model."""
    torch.manual_seed(9)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1)
    )
    nn.init.uniform_(network[1].running_mean, -0.5, 0.5)
    nn.init.uniform_(network[1].weight, 0.5, 1.5)
    network[1].bias.data = network[1].weight.data.flip(0).clone()
    return SegModel(network, Spec("wrapped", {}, 3, THREE))


def swap(a, b):
    """Exchange the values of two tensors, which have the same sum."""
    a.data, b.data = b.data.clone(), a.data.clone()


CHANGES = {
    "a permutation of channels": lambda m: m[3].weight.data.copy_(m[3].weight.data[[2, 0, 1]]),
    "a flip": lambda m: m[0].weight.data.copy_(m[0].weight.data.flip(0)),
    "a flip through numpy": lambda m: np.copyto(
        m[3].weight.detach().numpy(), m[3].weight.detach().numpy()[::-1].copy()
    ),
    "a step past the version counter": lambda m: m[3].bias.data.sub_(torch.tensor([1.0, -1, 0])),
    "two tensors of one sum": lambda m: swap(m[1].weight, m[1].bias),
    "a layer without parameters": lambda m: m.__setitem__(2, nn.Tanh()),
    "another layer of the same sums": lambda m: m.__setitem__(
        0, nn.Conv2d(3, 6, 3, padding=1).requires_grad_(False)
    ),
    "an attribute": lambda m: setattr(m[3], "padding_mode", "circular"),
    "a number": lambda m: setattr(m[1], "eps", 0.5),
    "a hook": lambda m: m[1].register_forward_hook(lambda module, x, out: -out),
    "a method": lambda m: setattr(m[2], "forward", torch.cos),
    "statistics": lambda m: m[1].running_mean.neg_(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_predictions_follow_every_change_of_the_network(image, change):
    model = two_layers()
    before = predict(model, [image], "logit")[0]
    np.testing.assert_allclose(before, bare(model, image), atol=1e-5)
    with torch.no_grad():
        CHANGES[change](model.module)
    after = predict(model, [image], "logit")[0]
    np.testing.assert_allclose(after, bare(model, image), atol=1e-5)
    assert np.abs(after - before).max() > 1e-3


def test_a_view_taken_before_the_first_prediction_still_shows_the_weights(image):
    model = two_layers()
    weights = model.module[3].weight.detach().numpy()
    before = predict(model, [image], "logit")[0]
    weights[...] = -weights
    after = predict(model, [image], "logit")[0]
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, bare(model, image), atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_each_module_keeps_its_own_mode_even_where_the_network_fails(image, training):
    model = two_layers()
    model.module.train(training)
    model.module[1].train(not training)
    modes = [module.training for module in model.module.modules()]
    predict(model, [image], "mask")
    assert [module.training for module in model.module.modules()] == modes
    model.module[3] = nn.Conv2d(6, 3, 99)
    with pytest.raises(ShapeError):
        predict(model, [image], "mask")
    assert [module.training for module in model.module.modules()] == modes[:-1] + [True]


def as_dataset(images, model):
    targets = [np.zeros(image.shape[:2], dtype=np.int32) for image in images]
    return {"images": images, "targets": targets, "names": ["a", "b"],
            "class_ids": model.spec.class_ids, "threads": 1}


@pytest.mark.parametrize("kind", ["mask", "prob", "logit"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_an_error_that_names_them(image, kind, value):
    model = two_layers()
    model.module[1].running_var[2] = value if np.isnan(value) else -value
    with pytest.raises(DataError, match=r"^The network returns .* weights .*`1\.running_var`"):
        predict(model, [image], kind)
    with pytest.raises(DataError, match=r"^Image 1: The network returns .* weights"):
        predict(model, [image, image], kind)


def test_evaluation_names_the_image_of_which_the_network_returns_nan(image):
    model = two_layers()
    model.module.register_forward_hook(
        lambda module, x, out: out / (x[0].amax((1, 2, 3), keepdim=True) < 1)
    )
    data = as_dataset([image, image + 1], model)
    with pytest.raises(DataError, match=r'^Image "b": .* values from 1.* to 2 .*though'):
        inference.evaluate(model, data, "float32")


def test_numbers_too_large_for_a_precision_name_it(image):
    model = two_layers()
    model.module[3].weight.data.mul_(1e6)
    assert np.isfinite(predict(model, [image], "logit")[0]).all()
    with pytest.raises(DataError, match="in float16") as caught:
        predict(model, [image], "mask", precision="float16")
    assert "float32" in caught.value.hint


def test_large_finite_numbers_are_no_error(image):
    model = two_layers()
    model.module[3].bias.data.fill_(3e38)
    assert np.isfinite(predict(model, [image], "logit")[0]).all()


class Keeping(nn.Module):
    """A network that keeps a tensor it computed, as those with tables of positions do."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)
        self.kept = None

    def forward(self, x):
        if self.kept is None:
            self.kept = torch.linspace(0, 1, x.shape[-1])
        return self.conv(x) * self.kept


def test_what_a_network_keeps_in_prediction_serves_in_training(image):
    model = SegModel(Keeping(), Spec("wrapped", {}, 3, BINARY))
    predict(model, [image], "mask")
    model.module(torch.rand(1, 3, 48, 80)).sum().backward()
    assert model.module.conv.weight.grad.abs().max() > 0


def test_predicting_leaves_the_model_as_it_was(image):
    model = model_of()
    model.module.train()
    state = {k: v.clone() for k, v in model.module.state_dict().items()}
    predict(model, [image], "mask", precision="bfloat16")
    assert model.module.training
    assert all(torch.equal(v, state[k]) for k, v in model.module.state_dict().items())


class Branching(nn.Module):
    """Control flow that depends on the image."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x):
        return self.norm(self.conv(x)) if x.sum() > 0 else x[:, :1]


def test_control_flow_is_that_of_the_module(image):
    model = SegModel(Branching(), Spec("wrapped", in_channels=3, classes=BINARY))
    np.testing.assert_allclose(predict(model, [image], "logit")[0], bare(model, image), atol=1e-5)


def test_without_classes_there_is_no_mask(image):
    model = SegModel(nn.Conv2d(3, 1, 1), Spec("wrapped", in_channels=3))
    assert predict(model, [image], "prob")[0].shape == (48, 80, 1)
    with pytest.raises(DataError, match="no classes"):
        predict(model, [image], "mask")


def test_evaluation_equals_counting_predictions(rng):
    model = model_of(THREE)
    images = [rng.random((16, 32, 3)) for _ in range(3)]
    truth = [rng.choice([0, 1, 5], (16, 32)).astype(np.int32) for _ in images]
    data = {"images": images, "targets": truth, "names": list("abc"), "class_ids": [0, 1, 5],
            "batch_size": 2, "shuffle": False}
    confusion = inference.evaluate(model, data, "float32")["confusion"]
    masks = predict(model, images, "mask")
    truth, masks = np.stack(truth), np.stack(masks)
    expected = [[((truth == a) & (masks == b)).sum() for b in (0, 1, 5)] for a in (0, 1, 5)]
    np.testing.assert_array_equal(confusion, expected)


def pixelwise(classes, out):
    """A model without neighbourhood, so that padding changes nothing."""
    torch.manual_seed(5)
    return SegModel(nn.Conv2d(3, out, 1), Spec("wrapped", {}, in_channels=3, classes=classes))


@pytest.mark.parametrize(("classes", "out"), [(THREE, 3), (BINARY, 1)])
def test_evaluation_scores_images_as_single_predictions_do(rng, classes, out):
    model = pixelwise(classes, out)
    ids = list(classes.values())
    images = [rng.random((h, w, 3)) * 3 for h, w in [(12, 17), (9, 23), (20, 8)]]
    truth = [rng.choice(ids, image.shape[:2]).astype(np.int32) for image in images]
    truth[1][2:4] = np.iinfo(np.int32).min
    data = {"images": images, "targets": truth, "names": list("abc"), "class_ids": ids,
            "batch_size": 2}
    more = [{"name": "thresholds", "arguments": {"thresholds": [0.3, 0.5]}},
            {"name": "calibration", "arguments": None}]
    options = {"per_image": True, "resampling": {"replicates": 50}, "aggregate": "mean"}
    found = inference.evaluate(model, data, "float32", more, options)
    predicted = [{"probabilities": p} for p in predict(model, images, "prob")]
    expected = semantic.compare(truth, predicted, ids, more, options)
    assert found["columns"]["metric"] == expected["columns"]["metric"]
    for name in ("image", "class", "value", "n", "lower", "upper"):
        np.testing.assert_allclose(found["columns"][name], expected["columns"][name], atol=1e-6)
    np.testing.assert_array_equal(found["confusions"], expected["confusions"])
    np.testing.assert_array_equal(found["ids"], ids)
    assert found["confusion"].sum() == sum((t >= 0).sum() for t in truth)
    assert set(found["details"]) == {"curve", "calibration"}


def test_volumes_in_files_are_evaluated_with_their_spacing(rng, tmp_path):
    nib = pytest.importorskip("nibabel")
    path = str(tmp_path / "labels.nii.gz")
    affine = np.diag([1.5, 2, 3, 1])  # of i, j, k: W, H, D
    nib.save(nib.Nifti1Image(rng.integers(0, 3, (7, 6, 5)).astype(np.uint8), affine), path)
    part = {"volume": path, "box": [1, 0, 0, 3, 6, 7], "axis": -1, "ignored": []}
    data = {"images": [None], "targets": [part], "names": ["a"], "class_ids": [0, 1, 2]}
    assert inference.spacing_of(inference.DataSpec(**data), 0) == (3, 2, 1.5)
    data["targets"] = [part | {"axis": 1}, rng.integers(0, 3, (4, 5))]
    assert inference.spacing_of(inference.DataSpec(**data), 0) == (3, 1.5)
    assert inference.spacing_of(inference.DataSpec(**data), 1) is None
    resized = inference.DataSpec(**data, size=(8, 8))
    assert inference.spacing_of(resized, 0) is None


def test_a_network_that_fails_says_so_quietly(image, capfd):
    model = SegModel(nn.Conv2d(3, 1, 99), Spec("wrapped", in_channels=3, classes=BINARY))
    with pytest.raises(ShapeError, match="can't take images of 3 x 48 x 80"):
        predict(model, [image], "mask")
    assert capfd.readouterr().err == ""


class Shifted(nn.Module):
    """A network of volumes that tells neighbours along D, H and W apart."""

    dims, multiple = 3, 4

    def __init__(self, channels=1, classes=3):
        super().__init__()
        self.conv = nn.Conv3d(channels, classes, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm3d(classes)

    def forward(self, x):
        assert all(size % 4 == 0 for size in x.shape[2:])
        return self.norm(self.conv(x))


def model_of_volumes(**options):
    torch.manual_seed(4)
    network = Shifted(**options)
    nn.init.uniform_(network.norm.running_mean, -0.5, 0.5)
    return SegModel(network, Spec("wrapped", {}, 1, THREE, multiple=4))


def test_volumes_equal_the_bare_module_on_a_reflected_volume(rng):
    model = model_of_volumes()
    volume = np.asfortranarray(rng.random((5, 6, 11, 1)))
    padded = np.pad(volume, ((0, 3), (0, 2), (0, 1), (0, 0)), mode="reflect")
    x = torch.from_numpy(np.moveaxis(padded, -1, 0).astype(np.float32).copy())[None]
    with torch.no_grad():
        expected = model.module.eval()(x)[0, :, :5, :6, :11].numpy()
    logits = predict(model, [volume], "logit")[0]
    np.testing.assert_allclose(logits, np.moveaxis(expected, 0, -1), atol=1e-5)
    prob = predict(model, [volume], "prob")[0]
    assert prob.shape == (5, 6, 11, 3)
    np.testing.assert_allclose(prob.sum(axis=3), 1, atol=1e-6)
    mask = predict(model, [volume], "mask")[0]
    np.testing.assert_array_equal(mask, np.array([0, 1, 5])[expected.argmax(axis=0)])


def test_volumes_of_one_padded_size_share_a_batch(rng):
    model = model_of_volumes()
    volumes = [rng.random((*size, 1)) for size in [(5, 6, 11), (7, 8, 9), (2, 3, 4)]]
    together = predict(model, volumes, "logit", batch_size=2)
    for one, volume in zip(together, volumes, strict=True):
        np.testing.assert_allclose(one, predict(model, [volume], "logit")[0], atol=1e-5)


def test_volumes_in_files_keep_their_geometry(rng, tmp_path):
    nib = pytest.importorskip("nibabel")
    model = model_of_volumes()
    stored = rng.integers(0, 200, (7, 6, 5)).astype(np.uint8)  # i, j, k
    affine = np.array([[-1.5, 0, 0, 40], [0, 2, 0, -8], [0, 0, 3, 2.5], [0, 0, 0, 1]])
    path = str(tmp_path / "ct.nii.gz")
    nib.save(nib.Nifti1Image(stored, affine), path)
    volume = stored.T[..., None] / 255
    found = inference.predict(model, [path, volume], "logit", precision="float32")
    np.testing.assert_allclose(found["results"][0], found["results"][1], atol=1e-5)
    np.testing.assert_allclose(found["geometry"][0]["affine"], affine)
    assert found["geometry"][0]["spacing"].tolist() == [3, 2, 1.5]
    assert found["geometry"][1] is None


def test_volumes_and_images_are_not_mistaken_for_each_other(rng):
    with pytest.raises(ShapeError, match=r"a volume of 3 x 4 x 5 voxels.*takes 2D images"):
        predict(model_of(), [rng.random((3, 4, 5, 3))], "mask")
    with pytest.raises(ShapeError, match=r"two dimensions \(4 x 5\).*takes volumes"):
        predict(model_of_volumes(), [rng.random((4, 5, 1))], "mask")
    data = {"images": [rng.random((3, 4, 5, 1))], "targets": [np.zeros((3, 4, 5), np.int32)],
            "names": ["ct"], "class_ids": [0, 4]}
    with pytest.raises(ShapeError, match='Image "ct" is a volume'):
        inference.evaluate(model_of(channels=1), data)


def test_networks_say_their_dimensions_by_a_word_or_by_their_kernels():
    assert dims_of(Shifted()) == 3
    assert dims_of(nn.Conv3d(1, 1, 3)) == 3
    assert dims_of(nn.Conv2d(1, 1, 3)) == 2
    assert dims_of(nn.Identity()) == 2


def test_missing_voxels_are_na_in_the_prediction_and_infinite_ones_an_error(rng):
    volume = rng.random((3, 4, 5, 1))
    volume[1, 2, 3] = np.nan
    mask = predict(model_of_volumes(), [volume], "mask")[0]
    assert np.argwhere(mask == np.iinfo(np.int32).min).tolist() == [[1, 2, 3]]
    volume[1, 2, 3] = np.inf
    with pytest.raises(DataError, match="infinite values in 1 pixel"):
        predict(model_of_volumes(), [volume], "mask")


def test_evaluation_of_volumes_equals_counting_predictions(rng):
    model = model_of_volumes()
    volumes = [rng.random((4, 5, 7, 1)), rng.random((3, 6, 2, 1))]
    truth = [rng.choice([0, 1, 5], v.shape[:3]).astype(np.int32) for v in volumes]
    truth[0][1, 2, 3] = np.iinfo(np.int32).min
    data = {"images": volumes, "targets": truth, "names": list("ab"), "class_ids": [0, 1, 5],
            "batch_size": 1, "shuffle": False}
    confusion = inference.evaluate(model, data, "float32")["confusion"]
    assert confusion.sum() == 4 * 5 * 7 + 3 * 6 * 2 - 1
    # sizes that are multiples are not padded, so nothing differs from predictions
    even = rng.random((4, 8, 12, 1))
    known = rng.choice([0, 1, 5], even.shape[:3]).astype(np.int32)
    data |= {"images": [even], "targets": [known], "names": ["a"]}
    confusion = inference.evaluate(model, data, "float32")["confusion"]
    mask = predict(model, [even], "mask")[0]
    expected = [[((known == a) & (mask == b)).sum() for b in (0, 1, 5)] for a in (0, 1, 5)]
    np.testing.assert_array_equal(confusion, expected)
