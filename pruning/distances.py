"""Euclidean distances between filters, exact enough to tell near-duplicates apart.

Letters: O filters, D the length of one, P pairs, B the rows of one block.
"""

from torch import Tensor

# Below this squared relative distance, |a|² + |b|² − 2ab has lost more than half of its digits.
_CANCELLED = 1e-6
_NOTHING = 1e-15  # what is left of a row of ones by rounding, once the mean is taken off
_BLOCK_ELEMENTS = 2**21  # float64: 16 MiB a block


def pairwise_distances(filters_OD: Tensor) -> Tensor:
    """Return the distances ‖W_i − W_j‖₂ between all rows, as float64 of shape O×O, exactly 0 on the diagonal.

    Gram products give all pairs at once; pairs that are nearly identical are computed again by direct
    differences, because the gram form cancels there. So identical rows are exactly 0 apart, and every
    distance is right to at least eight digits.

    Raises:
        ValueError: `filters_OD` is not 2-D, is empty, or holds a value that is not finite.
    """
    rows_OD, exponent = _centred(checked_filters(filters_OD).double())
    squares_OO = rows_OD @ rows_OD.T
    norms_O = squares_OO.diagonal().clone()
    scales_OO = norms_O[:, None] + norms_O[None, :]
    squares_OO.mul_(-2).add_(scales_OO)
    near_P2 = (squares_OO < scales_OO.mul_(_CANCELLED)).triu(diagonal=1).nonzero()
    distances_OO = squares_OO.clamp_(min=0).sqrt_()
    # The two halves of a matrix product may round differently; one half speaks for both.
    distances_OO.triu_(diagonal=1)
    _measure_directly_(distances_OO, rows_OD, near_P2)
    return distances_OO.add_(distances_OO.T.clone()).ldexp_(exponent)


def _centred(rows_OD: Tensor) -> tuple[Tensor, Tensor]:
    """Shift rows to their mean and scale them to about 1; the rows, and the power of two that scales back.

    A shift changes no distance. Without it, filters that are all alike would be near each other compared with their
    norms, and all pairs would be measured twice. Powers of two scale exactly, and squares cannot overflow.
    """
    exponent = rows_OD.abs().max().frexp().exponent
    rows_OD = rows_OD.ldexp(-exponent)
    centred_OD = rows_OD - rows_OD.mean(dim=0)
    return centred_OD.masked_fill_(centred_OD.abs() < _NOTHING, 0.0), exponent


def checked_filters(filters_OD: Tensor) -> Tensor:
    """Return the same filters, detached.

    Raises:
        ValueError: they are not a finite, non-empty O×D matrix.
    """
    if filters_OD.dim() != 2 or filters_OD.numel() == 0:
        raise ValueError(f"filters must be one non-empty row a channel (O×D), got shape {tuple(filters_OD.shape)}")
    broken = (~filters_OD.isfinite()).nonzero()
    if len(broken):
        row, column = broken[0].tolist()
        value = filters_OD[row, column].item()
        raise ValueError(f"filters must be finite, got {value} in filter {row}, element {column}")
    return filters_OD.detach()


def _measure_directly_(distances_OO: Tensor, rows_OD: Tensor, pairs_P2: Tensor) -> None:
    """Overwrite the distances of the given pairs, in blocks so that P×D differences never exist at once."""
    for block_B2 in pairs_P2.split(max(1, _BLOCK_ELEMENTS // rows_OD.shape[1])):
        first_B, second_B = block_B2.unbind(1)
        distances_OO[first_B, second_B] = (rows_OD[first_B] - rows_OD[second_B]).norm(dim=1)
