import pickle

import pytest

from pruning.frozen_mapping import FrozenMapping, GroupBits, Ratios


def test_it_iterates_in_the_order_of_its_keys_and_equals_any_mapping_of_the_same_items() -> None:
    mapping = FrozenMapping({"b": 1, "a": 2})
    assert list(mapping) == ["a", "b"]
    assert mapping == {"a": 2, "b": 1}
    assert hash(mapping) == hash(FrozenMapping({"a": 2, "b": 1}))


def test_it_cannot_be_changed_and_travels_between_processes() -> None:
    mapping = FrozenMapping({"a": 1.5})
    with pytest.raises(TypeError):
        mapping["a"] = 2.0  # type: ignore[index]
    assert pickle.loads(pickle.dumps(mapping)) == mapping


def test_a_value_out_of_range_is_refused_with_its_group() -> None:
    with pytest.raises(ValueError, match=r"ratio of group 'a' is 1\.0; it must be in \[0, 1\)"):
        Ratios({"a": 1.0})
    with pytest.raises(ValueError, match=r"bits of group 'a' are 9; they must be in 2\.\.8"):
        GroupBits({"a": 9})
