"""The targets of tuples, by which contrastive and triplet know which image is which.

A tuple is a query, its positive and its negatives, in this order; its targets are −1 for the query, 1 for the positive,
0 for a negative, and tuples may differ in length. Letters: N images.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

QUERY, POSITIVE, NEGATIVE = -1, 1, 0


def query_of(targets_N: Tensor) -> Tensor:
    """Return, for each image of a row of tuples, the index of its query.

    Args:
        targets_N: −1, 1 or 0 for each image.

    Raises:
        ValueError: a tuple does not begin with a query and its positive.
    """
    queries = torch.nonzero(targets_N == QUERY).flatten()
    behind_N = F.pad(targets_N[1:], (0, 1), value=QUERY)
    if not len(queries) or queries[0] or bool((behind_N[queries] != POSITIVE).any()):
        raise ValueError(f"targets are {targets_N.tolist()}: tuples begin with a query, -1, and its positive, 1")
    return queries[torch.cumsum(targets_N == QUERY, dim=0) - 1]
