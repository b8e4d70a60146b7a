from pruning.cost import Cost


def parameter_ratio(cost: Cost, dense: Cost) -> float:
    """Return dense parameters / parameters."""
    return dense.parameters / cost.parameters
