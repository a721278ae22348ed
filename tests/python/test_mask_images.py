"""Folders of mask images: ids and colours against Pillow, tifffile and numpy; pairing; damage."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from held import across_the_border, held, overlapping, read, write, write_photo
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from maskr import annotations as formats
from maskr.annotations import mask_images
from maskr.annotations.columns import Category
from maskr.annotations.table import Labels
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError
from PIL import Image

IDS = {"background": 0, "cell": 3, "nucleus": 7}
MASK = np.array([[0, 3, 3, 7], [0, 0, 7, 7], [3, 255, 0, 0]])
TRUTH = np.where(MASK == 255, IGNORE, MASK)
RGB = {"road": "#804080", "tree": "#008000", "ignore": "#FFFFFF"}


def folder_of(tmp_path: Path, *names: str, shape: tuple[int, int] = (3, 4)) -> Path:
    for name in names:
        write_photo(tmp_path / "images" / name, *shape)
    (tmp_path / "masks").mkdir()
    return tmp_path


def save_index(path: Path) -> None:
    image = Image.fromarray(MASK.astype(np.uint8))
    image.putpalette(np.random.default_rng(1).integers(0, 256, 768, dtype=np.uint8).tobytes())
    image.save(path)


SAVERS = {
    "index.png": save_index,
    "grey.png": lambda path: Image.fromarray(MASK.astype(np.uint8)).save(path),
    "deep.png": lambda path: Image.fromarray(MASK.astype(np.uint16)).save(path),
    "a8.tif": lambda path: tifffile.imwrite(path, MASK.astype(np.uint8)),
    "a16.tif": lambda path: tifffile.imwrite(path, MASK.astype(np.uint16), compression="zlib"),
    "a32.tif": lambda path: tifffile.imwrite(path, MASK.astype(np.int32)),
    "grey-as-rgb.png": lambda path: Image.fromarray(
        np.repeat(MASK[..., None], 3, axis=-1).astype(np.uint8)
    ).save(path),
}


@pytest.mark.parametrize("name", SAVERS)
def test_every_kind_of_file_gives_its_class_ids(tmp_path, name):
    root = folder_of(tmp_path, f"{Path(name).stem}.jpg")
    SAVERS[name](root / "masks" / name)
    x, report = read(root, classes=IDS)
    assert x.format == "masks"
    assert not report.skipped
    assert x.size(0) == (3, 4)
    found = across_the_border(x).labels(0)
    assert np.array_equal(found.classes, TRUTH)
    assert found.objects is None
    assert x.image_path(0) == root / "images" / x.images.files[0]


def test_binary_masks_need_a_word(tmp_path):
    root = folder_of(tmp_path, "a.png")
    binary = np.where(MASK == 3, 255, 0).astype(np.uint8)
    Image.fromarray(binary).save(root / "masks" / "a.png")
    classes = {"background": 0, "cell": 1}
    with pytest.raises(DataError, match="only the values 0 and 255"):
        read(root, classes=classes)[0].labels(0)
    x, _ = read(root, classes=classes, values=[0, 255])
    assert np.array_equal(across_the_border(x).labels(0).classes, MASK == 3)
    x, _ = read(root, classes=classes, ignore=255, explicit_ignore=True)
    assert np.array_equal(x.labels(0).classes, np.where(MASK == 3, IGNORE, 0))


def test_class_ids_that_are_not_known_are_named(tmp_path):
    root = folder_of(tmp_path, "a.png")
    save_index(root / "masks" / "a.png")
    x, _ = read(root, classes={"background": 0, "cell": 3})
    with pytest.raises(DataError, match=r"a\.png holds class ids .*: 7 \(3 pixels\)"):
        x.labels(0)


def test_classes_are_asked_for_with_the_ids_that_are_there(tmp_path):
    root = folder_of(tmp_path, "a.png")
    save_index(root / "masks" / "a.png")
    with pytest.raises(DataError, match="are not known") as error:
        read(root)
    assert "0, 3, 7, 255" in error.value.hint
    assert error.value.argument == "classes"


def save_colours(path: Path, codes: np.ndarray, colours: list[tuple[int, int, int]]) -> None:
    Image.fromarray(np.array(colours, dtype=np.uint8)[codes]).save(path)


def test_colours_become_ids(tmp_path):
    root = folder_of(tmp_path, "a.jpg", "b.jpg")
    codes = np.array([[0, 0, 1, 2], [1, 1, 1, 2], [0, 2, 2, 2]])
    for name in ("a", "b"):
        save_colours(root / f"masks/{name}.png", codes, [(128, 64, 128), (0, 128, 0), (255,) * 3])
    x, _ = read(root, colours=RGB)
    assert [(one.id, one.name) for one in x.classes] == [(1, "road"), (2, "tree")]
    expected = np.array([1, 2, IGNORE])[codes]
    assert np.array_equal(across_the_border(x).labels(1).classes, expected)
    x, _ = read(root, colours=RGB, classes={"tree": 5, "road": 9})
    assert np.array_equal(x.labels(0).classes, np.array([9, 5, IGNORE])[codes])
    with pytest.raises(DataError, match='class "tree" of the colour #008000 has no id'):
        read(root, colours=RGB, classes={"road": 9})


def test_an_index_png_with_a_palette_of_class_colours_is_read_by_its_colours(tmp_path):
    root = folder_of(tmp_path, "a.jpg")
    codes = np.array([[4, 4, 2, 2], [2, 4, 4, 2], [2, 2, 2, 2]], dtype=np.uint8)
    image = Image.fromarray(codes)
    image.putpalette([0, 0, 0] * 2 + [0, 128, 0] + [0, 0, 0] + [128, 64, 128])
    image.save(root / "masks" / "a.png")
    x, _ = read(root, colours=RGB)
    assert np.array_equal(x.labels(0).classes, np.where(codes == 4, 1, 2))


def test_unknown_colours_are_counted(tmp_path):
    root = folder_of(tmp_path, "a.jpg")
    codes = np.array([[0, 0, 1, 2], [1, 1, 3, 2], [0, 2, 2, 2]])
    save_colours(root / "masks/a.png", codes, [(128, 64, 128), (0, 128, 0), (9, 8, 7), (1, 2, 3)])
    x, _ = read(root, colours=RGB)
    with pytest.raises(DataError, match=r"a\.png .*: #090807 \(5 pixels\), #010203 \(1 pixels\)"):
        x.labels(0)


def test_the_colour_coded_geotiff(shared_data):
    path = shared_data("geotiff/zh17_gt.tif")
    colours = {
        "road": "#000000",
        "water": "#000096",
        "tree": "#007D00",
        "grass": "#00FF00",
        "building": "#646464",
        "soil": "#965000",
        "pool": "#9696FF",
        "ignore": "#FFFFFF",
    }
    x, _ = read(path, images=shared_data("geotiff/zh17.tif"), colours=colours)
    ids = x.labels(0).classes
    pixels = tifffile.imread(path).astype(int)
    packed = pixels[..., 0] * 65536 + pixels[..., 1] * 256 + pixels[..., 2]
    assert ids.shape == (1025, 1112)
    for number, (name, colour) in enumerate(colours.items(), start=1):
        own = packed == int(colour[1:], 16)
        assert own.any()
        assert np.array_equal(ids == (IGNORE if name == "ignore" else number), own), name


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("dataset", {"0001": {3: None, 5: None}, "0002": {1: None, 4: None}}),
        ("non_standard_dataset/segmentation", {"0001": {3: None, 5: None}, "0002": {}}),
    ],
)
def test_tables_of_classes_and_colours_are_found(shared_data, path, counts):
    root = Path(shared_data(f"formats/common_semantic_segmentation_dataset/{path}"))
    x, report = read(root)
    assert len(x.images) == len(list((root / "images").iterdir())) == len(counts)
    assert not report.skipped
    names = x.names()
    assert (names[0], names[3], names[5]) == ("Void", "Bicyclist", "Road")
    table = {one.colour: one.id for one in x.classes}
    for i in range(len(x.images)):
        pixels = np.asarray(Image.open(x.images.mask_files[i]))
        expected = [[table["#{:02X}{:02X}{:02X}".format(*p)] for p in row] for row in pixels]
        assert np.array_equal(x.labels(i).classes, expected)


TABLES = {
    "label_colors.txt": "128 64 128\tRoad\n0 128 0\t\tTall tree\n255 255 255 Void\n",
    "class_dict.csv": "name,r,g,b\nRoad,128,64,128\nTall tree,0,128,0\nVoid,255,255,255\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nRoad:128,64,128::\nTall tree:0,128,0::\n"
    "Void:255,255,255::\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_colours(tmp_path, name):
    root = folder_of(tmp_path, "a.jpg")
    (root / name).write_text(TABLES[name])
    codes = np.array([[0, 0, 1, 2], [1, 1, 1, 2], [0, 2, 2, 2]])
    save_colours(root / "masks/a.png", codes, [(128, 64, 128), (0, 128, 0), (255,) * 3])
    x, _ = read(root)
    assert x.names() == {1: "Road", 2: "Tall tree"}
    assert np.array_equal(x.labels(0).classes, np.array([1, 2, IGNORE])[codes])


def test_lists_of_names(tmp_path):
    root = folder_of(tmp_path, "a.jpg")
    Image.fromarray(np.ones((3, 4), np.uint8)).save(root / "masks" / "a.png")
    (root / "classes.txt").write_text("sky\nroad\n\n")
    assert read(root)[0].names() == {0: "sky", 1: "road"}
    (root / "classes.txt").write_text("__ignore__\n_background_\nroad\n")
    assert read(root)[0].names() == {0: "background", 1: "road"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"label_map": {"a": "b"}}', '{"label_map": {}}'])
def test_a_damaged_table_is_named(tmp_path, text):
    root = folder_of(tmp_path, "a.jpg")
    save_index(root / "masks" / "a.png")
    (root / "dataset_meta.json").write_text(text)
    with pytest.raises(FormatError, match=r"dataset_meta\.json"):
        read(root)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.jpg", "{}.png"),
        ("{}.jpg", "{}_mask.png"),
        ("{}.jpg", "{}-labels.tif"),
        ("img_{}.jpg", "gt_{}.png"),
        ("image{}.jpg", "mask{}.png"),
        ("Scan.00{}.jpg", "Scan.00{}_GT.png"),
    ],
)
def test_names_match_without_their_words(tmp_path, image, mask):
    root = folder_of(tmp_path, image.format(7), image.format(8))
    for n in (8, 7):
        path = root / "masks" / mask.format(n)
        if path.suffix == ".tif":
            tifffile.imwrite(path, MASK.astype(np.uint8))
        else:
            save_index(path)
    x, _ = read(root, classes=IDS)
    assert x.images.files == [image.format(7), image.format(8)]
    assert [Path(m).name for m in x.images.mask_files] == [mask.format(7), mask.format(8)]


def test_images_above_their_folder_of_masks(tmp_path):
    write_photo(tmp_path / "a.jpg", 3, 4)
    (tmp_path / "masks").mkdir()
    save_index(tmp_path / "masks" / "a.png")
    assert read(tmp_path, classes=IDS)[0].images.files == ["a.jpg"]


def test_names_that_do_not_match_are_listed(tmp_path):
    root = folder_of(tmp_path, *(f"{n}.jpg" for n in range(6)))
    for n in (0, 1, 9):
        save_index(root / "masks" / f"{n}.png")
    with pytest.raises(DataError) as error:
        read(root, classes=IDS)
    assert "4 images without a mask (2.jpg, 3.jpg, 4.jpg, ...)" in error.value.text
    assert "1 masks without an image (9.png)" in error.value.text
    save_index(root / "masks" / "0_mask.png")
    with pytest.raises(DataError, match="do not match"):
        read(root, classes=IDS)


def test_masks_without_any_image(tmp_path):
    (tmp_path / "masks").mkdir()
    save_index(tmp_path / "masks" / "a.png")
    with pytest.raises(FormatError, match="no image") as error:
        read(tmp_path, classes=IDS)
    assert "images = folder" in error.value.hint
    write_photo(tmp_path / "elsewhere" / "a.jpg", 3, 4)
    x, _ = read(tmp_path, classes=IDS, images=str(tmp_path / "elsewhere"))
    assert x.image_path(0) == tmp_path / "elsewhere" / "a.jpg"
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="no mask image"):
        read(tmp_path / "empty", "masks", classes=IDS, images=str(tmp_path / "elsewhere"))


def test_images_and_masks_in_one_folder_with_junk(tmp_path):
    for name in ("a", "b"):
        write_photo(tmp_path / f"{name}.jpg", 3, 4)
        save_index(tmp_path / f"{name}_mask.png")
    for junk in (".DS_Store", "._a.jpg", "Thumbs.db", "notes.txt", "a.xml"):
        (tmp_path / junk).write_bytes(b"\0junk")
    x, report = read(tmp_path, "masks", classes=IDS)
    assert x.images.files == ["a.jpg", "b.jpg"]
    assert not report.skipped
    one, _ = read(tmp_path / "b_mask.png", classes=IDS)
    assert one.images.files == ["b.jpg"]
    assert np.array_equal(one.labels(0).classes, TRUTH)


def test_splits_by_folder_in_both_orders(tmp_path):
    for split, name in itertools.product(("train", "valid"), ("a", "b")):
        for root in (tmp_path / "x" / split / "images", tmp_path / "y" / "images" / split):
            write_photo(root / f"{name}.jpg", 3, 4)
        for root in (tmp_path / "x" / split / "masks", tmp_path / "y" / "masks" / split):
            root.mkdir(parents=True, exist_ok=True)
            save_index(root / f"{name}.png")
    for name in ("x", "y"):
        x, _ = read(tmp_path / name, classes=IDS)
        assert x.images.splits == ["train", "train", "val", "val"]
        assert all(x.image_path(i).is_file() for i in range(4))


def test_other_sizes_and_broken_heads_are_left_out_and_counted(tmp_path):
    root = folder_of(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    for name in ("a", "b"):
        save_index(root / "masks" / f"{name}.png")
    write_photo(root / "images" / "b.jpg", 4, 3)
    (root / "masks" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    x, report = read(root, classes=IDS)
    assert x.images.files == ["a.jpg"]
    (root / "masks" / "a.png").write_bytes(b"")
    with pytest.raises(FormatError, match=r"no image with a mask .*a readable image \(2 times"):
        read(root, classes=IDS)
    assert {reason: count for reason, (count, _) in report.skipped.items()} == {
        "image and mask of different sizes": 1,
        "file that is not a readable image": 1,
    }


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, 400), suffix=st.sampled_from([".png", ".tif"]))
def test_a_truncated_mask_is_a_classed_error(cut, suffix):
    with tempfile.TemporaryDirectory() as folder:
        root = folder_of(Path(folder), "a.jpg", shape=(20, 30))
        noise = np.random.default_rng(3).choice([0, 3, 7], (20, 30)).astype(np.uint8)
        path = root / "masks" / f"a{suffix}"
        if suffix == ".png":
            Image.fromarray(noise).save(path)
        else:
            tifffile.imwrite(path, noise, compression="zlib")
        whole = path.read_bytes()
        path.write_bytes(whole[: min(cut, len(whole) - 20)])
        try:
            x, _ = read(root, "masks", classes=IDS)
            x.labels(0)
        except (FormatError, DataError) as error:
            assert "a" in error.text


ids_and_ignore = arrays.arrays(
    np.int32, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.integers(-1, 2)
)


@settings(max_examples=20, deadline=None)
@given(
    codes=st.lists(ids_and_ignore, min_size=1, max_size=3), top=st.sampled_from([254, 255, 9000])
)
def test_masks_come_back_identical(codes, top):
    ids = np.array([0, 5, top, IGNORE])
    classes = [Category(0, "background"), Category(5, "a"), Category(top, "b", colour="#123456")]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        x = held([Labels(ids[one]) for one in codes], classes, root / "in")
        report = write(x, root / "out", "masks")
        assert not report.changed
        back, skipped = read(root / "out")
        assert not skipped.skipped
        assert back.format == "masks"
        assert {one.name: one.id for one in back.classes} == {"background": 0, "a": 5, "b": top}
        for i, one in enumerate(codes):
            assert np.array_equal(across_the_border(back).labels(i).classes, ids[one])
            image = root / "out" / "images" / f"image{i}.png"
            assert image.read_bytes() == x.image_path(i).read_bytes()


def test_the_written_png_has_the_palette(tmp_path):
    classes = [Category(0, "background"), Category(2, "b", colour="#123456")]
    x = held([Labels(np.array([[0, 2, IGNORE]]))], classes, tmp_path / "in", ["train/a.jpg"])
    write(x, tmp_path / "out", "masks")
    image = Image.open(tmp_path / "out" / "masks" / "train" / "a.png")
    assert image.mode == "P"
    assert np.asarray(image).tolist() == [[0, 2, 255]]
    assert np.asarray(image.convert("RGB"))[0, 1].tolist() == [0x12, 0x34, 0x56]
    assert read(tmp_path / "out")[0].images.splits == ["train"]


def test_volumes_become_tiffs(tmp_path):
    volume = np.arange(24).reshape(2, 3, 4) % 3
    x = held([Labels(volume)], [Category(1, "a"), Category(2, "b")], tmp_path / "in")
    stack = tmp_path / "in" / "image0.tif"
    tifffile.imwrite(stack, volume.astype(np.uint8), photometric="minisblack")
    x.images.files = ["image0.tif"]
    write(x, tmp_path / "out", "masks")
    assert np.array_equal(read(tmp_path / "out")[0].labels(0).classes, volume)


def test_losses_are_counted_and_nothing_is_left_behind(tmp_path):
    x = overlapping(tmp_path / "in", (1, 2))
    report = write(x, tmp_path / "out", "masks")
    assert {reason: count for reason, (count, _) in report.changed.items()} == {
        "object partly or wholly under another one": 1,
        "object written as pixels of its class": 2,
    }
    ids = read(tmp_path / "out")[0].labels(0).classes
    assert ((ids == 1).sum(), (ids == 2).sum()) == (12, 16)
    x.images.files = ["gone.png"]
    report = write(x, tmp_path / "out2", "masks")
    assert report.changed["image that was not found, not copied"] == [1, "gone.png"]
    with pytest.raises(FormatError, match="exists already"):
        write(x, tmp_path / "out", "masks")
    x.images.heights = [0]
    with pytest.raises(DataError, match="size"):
        write(x, tmp_path / "out3", "masks")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "out2"]


def test_names_stay_inside_the_new_folder(tmp_path):
    labels = [Labels(np.zeros((2, 3), int))] * 2
    x = held(labels, [Category(0, "background")], tmp_path / "in" / "deep")
    x.images.files = ["../../evil.png", "/etc/evil2.png"]
    write(x, tmp_path / "out", "masks")
    written = sorted(path.name for path in (tmp_path / "out" / "masks").rglob("*.png"))
    assert written == ["evil.png", "evil2.png"]
    x.images.files = ["a.png", "a.jpg"]
    with pytest.raises(DataError, match='would be called "a"'):
        write(x, tmp_path / "again", "masks")


def test_r_reads_masks_in_one_call(tmp_path):
    root = folder_of(tmp_path, "a.png")
    save_index(root / "masks" / "a.png")
    tables = formats.r_read(str(root), "auto", {"classes": IDS})
    found = formats.r_mask(tables, 0)
    missing = np.iinfo(np.int32).min
    assert np.array_equal(found["data"], np.where(MASK == 255, missing, MASK))


def test_folders_of_other_formats_are_not_taken_for_masks(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_train.json").write_text("{}")
    write_photo(tmp_path / "images" / "a.png", 3, 4)
    assert not mask_images.matches(tmp_path)
    save_index(tmp_path / "annotations" / "a.png")
    assert mask_images.matches(tmp_path)
