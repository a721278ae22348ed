"""The errors that cross into R."""

import pickle

import pytest
from maskr import errors
from maskr.errors import DataError, images_called, in_image
from maskr.words import as_r, counted

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type)
    and issubclass(value, errors.MaskrError)
    and value is not errors.MaskrError
]


@pytest.mark.parametrize("cls", CLASSES)
def test_each_carries_what_r_shows(cls):
    error = cls("What was wrong.", hint="How to mend it.", argument="x")
    assert isinstance(error, errors.MaskrError)
    assert (error.text, error.hint, error.argument) == ("What was wrong.", "How to mend it.", "x")
    assert str(error) == "What was wrong."


@pytest.mark.parametrize("cls", CLASSES)
def test_hint_and_argument_are_empty_strings_unless_given(cls):
    error = cls("Wrong.")
    assert (error.hint, error.argument) == ("", "")


@pytest.mark.parametrize("cls", CLASSES)
def test_each_survives_the_way_from_a_worker_process(cls):
    error = pickle.loads(pickle.dumps(cls("Wrong.", hint="Mend.", argument="x")))
    assert (error.text, error.hint, error.argument) == ("Wrong.", "Mend.", "x")


def test_names_say_that_they_are_errors():
    assert len(CLASSES) >= 8
    assert all(cls.__name__.endswith("Error") and cls.__doc__ for cls in CLASSES)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (MemoryError("Unable to allocate 256. TiB for an array with shape (3, 5)"), "281,475 GB"),
        (RuntimeError("not enough memory: you tried to allocate 12000000000 bytes."), "12 GB"),
        (RuntimeError("CUDA out of memory. Tried to allocate 1.50 MiB. GPU 0 has"), "2 MB"),
        (MemoryError("no more"), ""),
        (RuntimeError("Expected 3 channels, but got 5"), None),
    ],
)
def test_errors_of_memory_tell_how_much_was_asked_for(error, asked):
    assert errors.memory_asked(error) == asked


def test_errors_name_an_image_once():
    def error(text, names=()):
        with pytest.raises(DataError) as caught, images_called(names), in_image(2, 3):
            raise DataError(text)
        return caught.value.text

    assert error("The image has 2 channels.") == "Image 2 has 2 channels."
    assert error("It is dark.", ["image 1", "image 2"]) == "Image 2: It is dark."
    assert error("The image is dark.", ["a", "b"]) == 'Image "b" is dark.'
    assert error('The image "x" is dark.', ["a", "b"]) == 'Image "b": The image "x" is dark.'


def test_numbers_have_their_nouns_and_values_are_written_as_r_does():
    assert [counted(n, "image") for n in (0, 1, 1200)] == ["0 images", "1 image", "1,200 images"]
    assert counted(2, "class", "classes") == "2 classes"
    values = [[9], (9, 3), ["a", True], None, False, 0.5, "b0"]
    assert [as_r(value) for value in values] == [
        "9", "c(9, 3)", 'c("a", TRUE)', "NULL", "FALSE", "0.5", '"b0"'
    ]  # fmt: skip
