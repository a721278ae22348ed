"""The errors that cross into R."""

import pickle

import pytest
from maskr import errors

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
