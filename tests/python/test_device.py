"""Devices and precisions."""

import pytest
import torch
from maskr import device
from maskr.errors import DataError, DeviceError


@pytest.fixture(autouse=True)
def back_to_auto():
    yield
    device.choose("auto")


def test_chooses_what_is_there_and_remembers_it():
    assert device.choose("cpu") == "cpu"
    assert device.choose() == "cpu"
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    if not torch.backends.mps.is_available():
        assert device.choose("auto") == expected


def test_unknown_and_absent_devices_are_errors():
    with pytest.raises(DeviceError, match='no device "gpu"'):
        device.choose("gpu")
    with pytest.raises(DeviceError, match='"cuda:99" is not available'):
        device.choose("cuda:99")


def test_precision_follows_the_hardware(monkeypatch):
    assert device.precision("float16", "cpu") == "float16"
    for flags in ({"avx512_bf16"}, {"amx_bf16", "avx2"}):
        monkeypatch.setattr(device, "_cpu_flags", lambda flags=flags: flags)
        assert device.precision("auto", "cpu") == "bfloat16"
    for flags in (set(), {"avx2"}, {"avx512f", "avx512_fp16"}):
        monkeypatch.setattr(device, "_cpu_flags", lambda flags=flags: flags)
        assert device.precision("auto", "cpu") == "float32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert device.precision("auto", "cuda") == "float32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert device.precision("auto", "cuda:1") == "bfloat16"
    with pytest.raises(DataError, match='no precision "int8"'):
        device.precision("int8", "cpu")


def test_precisions_without_instructions_are_slow_on_a_cpu(monkeypatch):
    device.choose("cpu")

    def slow(*flags):
        monkeypatch.setattr(device, "_cpu_flags", lambda: set(flags))
        return [name for name in ("auto", *device.DTYPES) if device.is_slow(name)]

    assert slow("avx2", "fma") == ["bfloat16", "float16"]
    assert slow("avx512_bf16") == ["float16"]
    assert slow("amx_bf16", "avx512_fp16") == []
    monkeypatch.setattr(device, "choose", lambda: "cuda")
    assert slow("avx2") == []


def test_volumes_train_in_float32_on_the_cpu(monkeypatch):
    monkeypatch.setattr(device, "_cpu_flags", lambda: {"avx512_bf16"})
    assert device.precision("auto", "cpu", trained_dims=3) == "float32"
    assert device.precision("auto", "cpu", trained_dims=2) == "bfloat16"
    assert device.precision("bfloat16", "cuda", trained_dims=3) == "bfloat16"
    with pytest.raises(DataError, match="wrong gradients of volumes"):
        device.precision("bfloat16", "cpu", trained_dims=3)
