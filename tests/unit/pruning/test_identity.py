import hashlib

import pytest

from pruning.identity import json_identity, sha256_prefix


def test_a_prefix_is_the_first_sixteen_digits_of_the_sha256() -> None:
    assert sha256_prefix("ä") == sha256_prefix("ä".encode()) == hashlib.sha256("ä".encode()).hexdigest()[:16]


def test_the_order_of_keys_does_not_change_an_identity() -> None:
    assert json_identity({"a": 1, "b": [2, None]}) == json_identity({"b": [2, None], "a": 1})


def test_an_identity_is_that_of_jsons_own_separators_unless_others_are_named() -> None:
    assert json_identity({"a": [1, 2]}) == sha256_prefix('{"a": [1, 2]}')
    assert json_identity({"a": [1, 2]}, separators=(",", ":")) == sha256_prefix('{"a":[1,2]}')


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        json_identity({"a": object()})
