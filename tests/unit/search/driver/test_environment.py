"""What a driver sets before Ray is imported; that Ray obeys is tests/flow's and tests/cluster's."""

import os
import re
from collections.abc import Iterator

import pytest

from search.driver.environment import prepare_ray

TOKENS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def bare() -> Iterator[None]:
    """An environment without a variable of Ray's; afterwards as it was."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("RAY_", "TUNE_"))]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


def tokens() -> dict[str, str]:
    return {name: os.environ[name] for name in TOKENS if name in os.environ}


def test_a_local_ray_has_a_token_that_nobody_can_guess():
    prepare_ray(None)
    token = os.environ["RAY_AUTH_TOKEN"]
    assert tokens() == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    del os.environ["RAY_AUTH_TOKEN"]
    prepare_ray(None)
    assert os.environ["RAY_AUTH_TOKEN"] != token


def test_a_second_call_keeps_the_token_that_workers_were_given():
    prepare_ray(None)
    before = tokens()
    prepare_ray(None)
    assert tokens() == before


@pytest.mark.parametrize(("address", "of_job"), [("10.0.0.1:6379", None), (None, "10.0.0.1:6379"), ("auto", "x:1")])
def test_a_cluster_gets_no_token_of_ours(address, of_job):
    if of_job:
        os.environ["RAY_ADDRESS"] = of_job
    prepare_ray(address)
    assert tokens() == {}


def test_an_empty_address_in_the_environment_is_none():
    os.environ["RAY_ADDRESS"] = ""
    prepare_ray(None)
    assert os.environ["RAY_AUTH_MODE"] == "token"


@pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_a_token_that_the_operator_has_given_is_the_only_one(name):
    os.environ[name] = "theirs"
    prepare_ray(None)
    assert tokens() == {"RAY_AUTH_MODE": "token", name: "theirs"}


def test_what_the_operator_has_set_stays():
    os.environ.update({"RAY_USAGE_STATS_ENABLED": "1", "TUNE_MAX_PENDING_TRIALS_PG": "7", "RAY_AUTH_MODE": "disabled"})
    prepare_ray(None)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
    assert os.environ["TUNE_MAX_PENDING_TRIALS_PG"] == "7"
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


@pytest.mark.parametrize("address", [None, "10.0.0.1:6379"])
def test_no_driver_reports_its_use_to_anybody(address):
    prepare_ray(address)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
