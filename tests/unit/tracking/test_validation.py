import pytest
from pydantic import BaseModel, ValidationError

from tracking.validation import first_error


class Engine(BaseModel, extra="forbid"):
    power: int = 1


class Car(BaseModel, extra="forbid"):
    engine: Engine | None = None
    wheels: tuple[Engine, ...] = ()
    colour: str = "red"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"engine": {"power": "much"}}, "engine.power: Input should be a valid integer, unable to parse"),
        ({"engine": {"powr": 2}}, "unknown key 'engine.powr': did you mean 'power'?"),
        ({"xyz": 2}, "unknown key 'xyz': known are engine, wheels, colour"),
        ({"colour": 3, "color": "red"}, "unknown key 'color': did you mean 'colour'?"),
        ({"wheels": [{"power": 1, "tyre": 2}]}, "unknown key 'wheels.0.tyre'"),
        ({"colour": 3}, "colour: Input should be a valid string, not 3"),
    ],
)
def test_the_first_error_is_one_line_that_names_the_key(fields, line):
    with pytest.raises(ValidationError) as caught:
        Car.model_validate(fields)
    message = first_error(caught.value, Car)
    assert message.startswith(line)
    assert "\n" not in message


def test_a_key_is_named_from_the_top_of_its_file():
    with pytest.raises(ValidationError) as caught:
        Engine.model_validate({"powr": 2})
    assert first_error(caught.value, Engine, inside="engine.").startswith("unknown key 'engine.powr'")


def test_a_long_value_is_cut_short():
    with pytest.raises(ValidationError) as caught:
        Engine.model_validate({"power": ["a", "long", "list"] * 1000})
    assert len(first_error(caught.value, Engine)) < 300
