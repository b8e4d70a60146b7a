import inspect

import pytest
import torch

from retrieval.training.losses.registry import LOSSES, check_options, options_by_key


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_without_options_is_made_with_the_defaults_that_it_declares(name: str) -> None:
    kind = LOSSES[name]
    torch.manual_seed(0)
    made, declared = (
        kind.make(classes=3, descriptor_size=4, **options)
        for options in ({}, {option.name: option.default for option in kind.options})
    )
    for option in kind.options:
        assert getattr(made, option.name) == getattr(declared, option.name) == option.default
        assert option.accepts(option.default)


@pytest.mark.parametrize("name", LOSSES)
def test_batches_without_options_are_made_with_the_defaults_that_they_declare(name: str) -> None:
    taken = inspect.signature(LOSSES[name].batches.make).parameters
    for option in LOSSES[name].batches.options:
        assert taken[option.name].default == option.default
        assert option.accepts(option.default)


def test_every_option_is_described() -> None:
    for key, takers in options_by_key().items():
        assert all(option.description for option in takers.values()), key


def test_a_value_that_only_other_losses_allow_is_refused_with_their_names() -> None:
    wanted = 'margin is "soft", but contrastive takes a number: batch_hard and reid know a soft one'
    with pytest.raises(ValueError, match=wanted):
        check_options("contrastive", {"margin": "soft"})
    check_options("reid", {"margin": "soft"})
