import math
from copy import deepcopy

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from pruning.coding.quantize import Grid, codebook, kmeans_codebook, quantize_, quantized_weights, uniform_grid
from pruning.coding.sparsity import coded_layers, hold_masks_, pruned_share, release_, share_mask

IMAGES_NCHW = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(7))
GRIDS: tuple[Grid, ...] = ("kmeans", "uniform")


def small_network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        nn.ConvTranspose2d(8, 4, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )


def quantized_network(grid: Grid, seed: int = 0) -> nn.Sequential:
    """All layers but the last quantized, two of them pruned, trained a little."""
    network = small_network(seed)
    layers = coded_layers(network)
    hold_masks_(network, {name: share_mask(layers[name].weight, 0.4) for name in ("0", "3")})
    quantize_(network, {"0": 3, "3": 2, "4": 5}, grid)
    return network


def train_(network: nn.Module, steps: int = 2) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        network(IMAGES_NCHW).square().sum().backward()
        optimizer.step()


def reference_lloyd(values_N: NDArray[np.float64], bits: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Lloyd's iteration as it is written: every distance, every mean, until no value changes its centre."""
    centres_C = np.linspace(values_N.min(), values_N.max(), 2**bits)
    codes_N = np.full(len(values_N), -1)
    while True:
        nearest_N = np.abs(values_N[:, None] - centres_C[None, :]).argmin(axis=1)
        if (nearest_N == codes_N).all():
            return centres_C, codes_N
        codes_N = nearest_N
        for centre in range(2**bits):
            if (codes_N == centre).any():
                centres_C[centre] = values_N[codes_N == centre].mean()


def sample(kind: str, count: int) -> Tensor:
    generator = np.random.default_rng(5)
    values_N = generator.laplace(scale=0.02, size=count)
    if kind == "normal":
        values_N = generator.normal(loc=0.3, scale=0.1, size=count)
    if kind == "pruned":
        values_N = values_N[np.abs(values_N) > 0.02]
    if kind == "heavy tails":
        values_N = generator.standard_t(df=1.5, size=count)
    if kind == "few distinct":
        values_N = generator.choice([-0.3, -0.1, 0.0, 0.1, 0.7, 0.70001], size=count)
    if kind == "far from zero":
        values_N = 1000 + generator.normal(size=count)
    return torch.from_numpy(values_N).float()


@pytest.mark.parametrize("kind", ["Laplace", "normal", "pruned", "heavy tails", "few distinct", "far from zero"])
@pytest.mark.parametrize(("bits", "count"), [(2, 30_000), (4, 10_000), (5, 10_000), (8, 1000), (2, 100_000)])
def test_kmeans_ends_where_the_plain_loop_ends(kind: str, bits: int, count: int) -> None:
    values_N = sample(kind, count)
    centres_C, codes_N = kmeans_codebook(values_N, bits)
    exact_N = values_N.double().numpy()
    expected_C, expected_codes_N = reference_lloyd(exact_N, bits)
    inertia = np.square(exact_N - centres_C.double().numpy()[codes_N.numpy()]).sum()
    expected = np.square(exact_N - expected_C[expected_codes_N]).sum()
    # Centres in float32 cannot be nearer to a value than its last digit.
    digits = len(exact_N) * (np.abs(exact_N).max() * 2**-24) ** 2
    assert inertia == pytest.approx(expected, rel=1e-6, abs=digits)
    assert centres_C.double().numpy() == pytest.approx(expected_C, rel=1e-5, abs=1e-6)


def test_kmeans_of_six_numbers_worked_by_hand() -> None:
    # Centres start at 0, 10, 20, 30, borders 5, 15, 25. Means 1, 10.5, none, 30; borders 5.75, 15.25, 25: the end.
    centres_C, codes_N = kmeans_codebook(torch.tensor([10.0, 0.0, 30.0, 1.0, 11.0, 2.0]), bits=2)
    assert centres_C.tolist() == [1.0, 10.5, 20.0, 30.0]
    assert codes_N.tolist() == [1, 0, 3, 0, 1, 0]


def test_a_value_between_two_centres_goes_to_the_lower() -> None:
    # 15 lies between 10 and 20; its centre moves there, and 20 stays empty.
    centres_C, codes_N = kmeans_codebook(torch.tensor([0.0, 15.0, 30.0]), bits=2)
    assert centres_C.tolist() == [0.0, 15.0, 20.0, 30.0]
    assert codes_N.tolist() == [0, 1, 3]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["Laplace", "few distinct"])
def test_every_code_is_the_nearest_of_the_centres_that_come_back(dtype: torch.dtype, kind: str) -> None:
    values_N = sample(kind, 3000).to(dtype)
    centres_C, codes_N = kmeans_codebook(values_N, bits=4)
    assert centres_C.dtype == dtype
    assert codes_N.dtype == torch.int64
    assert torch.equal(centres_C, centres_C.sort().values)
    distances_NC = (values_N.double()[:, None] - centres_C.double()[None, :]).abs()
    assert torch.equal(codes_N, distances_NC.argmin(dim=1))


@pytest.mark.parametrize("value", [0.0, -0.7, 1e-30])
def test_one_value_is_its_own_centre(value: float) -> None:
    for count in (1, 5):
        values_N = torch.full((count,), value)
        centres_C, codes_N = kmeans_codebook(values_N, bits=8)
        assert torch.equal(centres_C, torch.full((256,), value))
        assert codes_N.tolist() == [0] * count


def test_fewer_distinct_values_than_centres_are_kept_to_the_bit() -> None:
    values_N = torch.tensor([0.1, -0.3, 0.1, 0.7, -0.3, 123.456, 0.1])
    centres_C, codes_N = kmeans_codebook(values_N, bits=8)
    few_C, _ = kmeans_codebook(torch.cat([values_N, values_N.repeat(1000)]), bits=8)
    assert centres_C[codes_N][[3, 5]].tolist() == values_N[[3, 5]].tolist()
    assert torch.equal(centres_C, few_C)


def test_kmeans_of_lattices_always_ends() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        values_N = torch.randint(-9, 10, (12,), generator=generator).float() / 10
        centres_C, codes_N = kmeans_codebook(values_N, bits=2)
        means_C = torch.stack([values_N[codes_N == code].double().mean() for code in range(4)])
        torch.testing.assert_close(centres_C[~means_C.isnan()].double(), means_C[~means_C.isnan()])


def test_kmeans_leaves_its_values_alone() -> None:
    values_N = nn.Parameter(torch.randn(50))
    before = values_N.detach().clone()
    centres_C, _ = kmeans_codebook(values_N, bits=3)
    assert not centres_C.requires_grad
    assert torch.equal(values_N, before)


@pytest.mark.parametrize("bits", [-1, 1, 9])
def test_bits_out_of_range_are_refused(bits: int) -> None:
    weight, kept = torch.randn(2, 3), torch.ones(2, 3, dtype=torch.bool)
    for quantize in (codebook, uniform_grid):
        with pytest.raises(ValueError, match=f"bits is {bits}; it must be 2 to 8"):
            quantize(weight, kept, bits)
    with pytest.raises(ValueError, match=f"'0' cannot be quantized: bits is {bits}; it must be 2 to 8"):
        quantize_(small_network(), {"0": bits}, "kmeans")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (torch.ones(0), r"at least one weight, got shape \(0,\)"),
        (torch.tensor([1.0, math.nan]), "1 of 2 are not: the first is nan"),
        (torch.tensor([-math.inf, 1.0]), "1 of 2 are not: the first is -inf"),
        (torch.ones(2, 2), r"one row of floats, got torch\.float32 of shape \(2, 2\)"),
        (torch.ones(2, dtype=torch.int64), r"one row of floats, got torch\.int64"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        kmeans_codebook(values, bits=4)


def test_a_codebook_is_made_of_the_kept_weights_only() -> None:
    weight = torch.tensor([[10.0, 999.0, 0.0], [30.0, 1.0, 11.0], [2.0, -999.0, 0.5]])
    kept = torch.tensor([[True, False, True], [True, True, True], [True, False, False]])
    coded = codebook(weight, kept, bits=2)
    assert coded.centres_C.tolist() == [1.0, 10.5, 20.0, 30.0]
    assert coded.codes.dtype == torch.uint8
    assert coded.codes.tolist() == [[1, 0, 0], [3, 0, 1], [0, 0, 0]]
    assert coded.dequantize().tolist() == [[10.5, 0.0, 1.0], [30.0, 1.0, 10.5], [1.0, 0.0, 0.0]]


def test_a_uniform_grid_of_two_rows_worked_by_hand() -> None:
    weight = torch.tensor([[-1.0, 2.0, 0.4, 0.6], [5.0, 9.0, 7.0, 0.0]])
    kept = torch.tensor([[True, True, True, True], [True, False, True, False]])
    coded = uniform_grid(weight, kept, bits=2)
    # Row 0: −1, 0, 1, 2. Row 1, of 5 and 7 alone: 5, 5⅔, 6⅓, 7.
    assert coded.low_O.tolist() == [-1.0, 5.0]
    assert coded.step_O.tolist() == pytest.approx([1.0, 2 / 3])
    assert coded.codes.tolist() == [[0, 3, 1, 2], [0, 0, 3, 0]]
    assert coded.dequantize().flatten().tolist() == pytest.approx([-1.0, 2.0, 0.0, 1.0, 5.0, 0.0, 7.0, 0.0])


@pytest.mark.parametrize("bits", range(2, 9))
def test_every_weight_is_on_the_nearest_point_of_its_rows_grid(bits: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    weight = torch.randn(6, 5, 3, 3, generator=generator) * torch.logspace(-3, 3, 6).view(-1, 1, 1, 1)
    kept = torch.rand(weight.shape, generator=generator) < 0.7
    rounded = uniform_grid(weight, kept, bits).dequantize()
    for row in range(6):
        values = weight[row][kept[row]].double()
        points = torch.linspace(values.min().item(), values.max().item(), 2**bits, dtype=torch.float64)
        error = (rounded[row][kept[row]] - values).abs()
        best = (values[:, None] - points[None, :]).abs().min(dim=1).values
        torch.testing.assert_close(error, best, rtol=1e-4, atol=1e-6 * values.abs().max().item())
    assert not rounded[~kept].any()


def test_rows_that_are_constant_or_empty_have_step_0() -> None:
    weight = torch.tensor([[0.3, 0.3], [0.7, -5.0], [1.0, 2.0]])
    kept = torch.tensor([[True, True], [True, False], [False, False]])
    coded = uniform_grid(weight, kept, bits=8)
    assert coded.low_O.tolist() == torch.tensor([0.3, 0.7, 0.0]).tolist()
    assert coded.step_O.tolist() == [0.0, 0.0, 0.0]
    assert torch.equal(coded.dequantize(), torch.where(kept, weight, 0.0))


def test_weights_and_masks_that_do_not_fit_are_refused() -> None:
    weight = torch.randn(2, 3)
    for quantize in (codebook, uniform_grid):
        with pytest.raises(
            ValueError, match=r"kept is torch\.bool of shape \(3, 2\); it must be bool of shape \(2, 3\)"
        ):
            quantize(weight, torch.ones(3, 2, dtype=torch.bool), 4)
        with pytest.raises(ValueError, match=r"kept is torch\.float32"):
            quantize(weight, torch.ones(2, 3), 4)
        with pytest.raises(ValueError, match="the first is nan"):
            quantize(torch.full((2, 3), math.nan), torch.ones(2, 3, dtype=torch.bool), 4)


def test_a_centres_gradient_is_the_sum_over_all_weights_that_share_it() -> None:
    network = quantized_network("kmeans")
    quantized = quantized_weights(network)
    plain = deepcopy(network)
    release_(plain)
    network(IMAGES_NCHW).square().sum().backward()
    plain(IMAGES_NCHW).square().sum().backward()
    for name, weight in quantized.items():
        expected = [0.0] * 2**weight.bits
        gradients = plain.get_parameter(name).grad.flatten().tolist()
        for code, kept, gradient in zip(weight.codes.flatten(), weight.kept.flatten(), gradients, strict=True):
            if kept:
                expected[int(code)] += gradient
        trained = network.get_parameter(f"{name.removesuffix('weight')}parametrizations.weight.original")
        assert trained.grad.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_step_of_two_shared_centres_worked_by_hand() -> None:
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([[0.0, 1.0, 0.0, 3.0]])
    quantize_(layer, {"": 2}, "kmeans")
    # Centres 0, 1, 2, 3. The output is w·x with x = 1, 10, 100, 1000: weights 0 and 2 share the centre 0.
    layer(torch.tensor([[1.0, 10.0, 100.0, 1000.0]])).backward()
    assert layer.parametrizations["weight"].original.grad.tolist() == [101.0, 10.0, 0.0, 1000.0]
    torch.optim.SGD(layer.parameters(), lr=0.001).step()
    assert layer.weight.flatten().tolist() == pytest.approx([-0.101, 0.99, -0.101, 2.0])


def test_codes_stay_and_centres_move_while_a_codebook_trains() -> None:
    network = quantized_network("kmeans")
    before = quantized_weights(network)
    train_(network)
    for name, after in quantized_weights(network).items():
        assert torch.equal(after.codes, before[name].codes)
        assert torch.equal(after.kept, before[name].kept)
        assert not torch.equal(after.centres_C, before[name].centres_C)


def test_a_grid_trains_the_float_weights_as_if_they_were_not_rounded() -> None:
    network = quantized_network("uniform")
    plain = deepcopy(network)
    release_(plain)
    network(IMAGES_NCHW).square().sum().backward()
    plain(IMAGES_NCHW).square().sum().backward()
    for name, weight in quantized_weights(network).items():
        trained = network.get_parameter(f"{name.removesuffix('weight')}parametrizations.weight.original")
        expected = torch.where(weight.kept, plain.get_parameter(name).grad, 0.0)
        assert torch.equal(trained.grad, expected)


def test_a_grids_limits_follow_the_weights() -> None:
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[0.0, 1.0, 3.0]])
    quantize_(layer, {"": 2}, "uniform")
    assert layer.weight.tolist() == [[0.0, 1.0, 3.0]]
    layer.parametrizations["weight"].original.data = torch.tensor([[0.0, 1.1, 6.0]])
    assert layer.weight.tolist() == [[0.0, 2.0, 6.0]]


@pytest.mark.parametrize("grid", GRIDS)
def test_pruned_weights_stay_zero_while_a_quantized_network_trains(grid: Grid) -> None:
    network = quantized_network(grid)
    pruned = {name: network.get_submodule(name).weight == 0 for name in ("0", "3")}
    assert all(mask.float().mean() > 0.35 for mask in pruned.values())
    train_(network)
    assert all(not network.get_submodule(name).weight[mask].any() for name, mask in pruned.items())


@pytest.mark.parametrize("grid", GRIDS)
def test_quantized_weights_are_what_release_leaves_to_the_bit(grid: Grid) -> None:
    network = quantized_network(grid)
    train_(network)
    quantized = quantized_weights(network)
    expected = network.eval()(IMAGES_NCHW)
    release_(network)
    state = network.state_dict()
    assert list(quantized) == ["0.weight", "3.weight", "4.weight"]
    assert list(state) == list(small_network().state_dict())
    for name, weight in quantized.items():
        assert torch.equal(weight.dequantize().view(torch.int32), state[name].view(torch.int32))
    assert torch.equal(network(IMAGES_NCHW), expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_quantized_row_holds_no_more_values_than_its_bits_allow(grid: Grid) -> None:
    network = quantized_network(grid)
    train_(network)
    for name, weight in quantized_weights(network).items():
        used = network.get_submodule(name.removesuffix(".weight")).weight
        rows = [used.flatten()] if grid == "kmeans" else used.flatten(1)
        assert all(len(row.unique()) <= 2**weight.bits + 1 for row in rows)
        assert int(weight.codes.max()) < 2**weight.bits


@pytest.mark.parametrize("grid", GRIDS)
def test_a_fresh_network_can_load_a_quantized_state(grid: Grid) -> None:
    network, fresh = quantized_network(grid), quantized_network(grid, seed=1)
    train_(network)
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(fresh.eval()(IMAGES_NCHW), network.eval()(IMAGES_NCHW))
    expected = quantized_weights(network)
    for name, weight in quantized_weights(fresh).items():
        assert torch.equal(weight.dequantize(), expected[name].dequantize())


@pytest.mark.parametrize("grid", GRIDS)
def test_a_quantized_copy_trains_on_its_own(grid: Grid) -> None:
    network = quantized_network(grid)
    copied = deepcopy(network)
    expected = network.eval()(IMAGES_NCHW)
    assert torch.equal(copied.eval()(IMAGES_NCHW), expected)
    train_(copied.train())
    assert torch.equal(network(IMAGES_NCHW), expected)
    assert not torch.equal(copied.eval()(IMAGES_NCHW), expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_quantizing_again_starts_from_the_weights_as_they_are(grid: Grid) -> None:
    network = quantized_network(grid)
    pruned = pruned_share(network)
    quantize_(network, {"0": 8, "4": 2}, "uniform")
    assert {name: weight.bits for name, weight in quantized_weights(network).items()} == {
        "0.weight": 8,
        "3.weight": 2,
        "4.weight": 2,
    }
    assert pruned_share(network) >= pruned
    release_(network)
    assert list(network.state_dict()) == list(small_network().state_dict())


def test_a_mask_over_a_codebook_makes_its_weights_plain_again() -> None:
    network = quantized_network("kmeans")
    expected = network[4].weight.detach().clone()
    kept = share_mask(expected, 0.5)
    hold_masks_(network, {"4": kept})
    assert torch.equal(network[4].weight, torch.where(kept, expected, 0.0))
    assert list(quantized_weights(network)) == ["0.weight", "3.weight"]
    train_(network)
    assert not network[4].weight[~kept].any()


def test_a_released_network_is_exported_like_a_plain_one() -> None:
    network, plain = quantized_network("kmeans"), small_network()
    release_(network)
    plain.load_state_dict(network.state_dict())
    exported = [
        torch.onnx.export(model.eval(), (IMAGES_NCHW,), dynamo=True, verbose=False).model_proto
        for model in (network, plain)
    ]
    assert exported[0].graph == exported[1].graph
    session = onnxruntime.InferenceSession(exported[0].SerializeToString(), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {session.get_inputs()[0].name: IMAGES_NCHW.numpy()})
    np.testing.assert_allclose(outputs, network(IMAGES_NCHW).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("bits", "grid", "complaint"),
    [
        ({"0": 4, "44": 4}, "kmeans", "no convolution or linear layer is called '44'; nearest: '4'"),
        ({"0": 4, "1": 4}, "uniform", "no convolution or linear layer is called '1'"),
        ({"0": 4, "7": 9}, "uniform", "'7' cannot be quantized: bits is 9; it must be 2 to 8"),
        ({"0": 4}, "kmean", "grid is 'kmean'; it must be one of kmeans, uniform"),
    ],
)
def test_a_request_that_makes_no_sense_leaves_the_network_alone(
    bits: dict[str, int], grid: Grid, complaint: str
) -> None:
    network = small_network()
    with pytest.raises(ValueError, match=complaint):
        quantize_(network, bits, grid)
    assert list(network.state_dict()) == list(small_network().state_dict())


@pytest.mark.parametrize("grid", GRIDS)
def test_weights_that_cannot_be_quantized_leave_the_network_alone(grid: Grid) -> None:
    broken, half, foreign = small_network(), small_network(), small_network()
    broken[7].weight.data[0, 0] = math.nan
    half[7].half()
    foreign[7] = parametrizations.weight_norm(foreign[7])
    for network, complaint in [
        (broken, "'7' cannot be quantized: .* the first is nan"),
        (half, r"the weight of '7' is torch\.float16; it must be torch\.float32"),
        (foreign, "the weight of '7' is parametrized by others"),
    ]:
        names = list(network.state_dict())
        with pytest.raises(ValueError, match=complaint):
            quantize_(network, {"0": 4, "7": 4}, grid)
        assert list(network.state_dict()) == names


@pytest.mark.parametrize("grid", GRIDS)
def test_a_diverged_network_has_no_quantized_weights(grid: Grid) -> None:
    network = quantized_network(grid)
    network[3].parametrizations["weight"].original.data.view(-1)[0] = math.nan
    assert network[3].weight.isnan().any()
    with pytest.raises(ValueError, match="what '3' was quantized to is not finite after training"):
        quantized_weights(network)
