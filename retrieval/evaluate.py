"""From a network and a data set to its mAP."""

from retrieval.datasets.base import RetrievalSet
from retrieval.descriptors import Describe, extract
from retrieval.images import ImageReader
from retrieval.index import rank
from retrieval.metrics import Scores, evaluate_classic


def evaluate(describe: Describe, retrieval_set: RetrievalSet, reader: ImageReader, *, batch_size: int = 64) -> Scores:
    """mAP by the classic Oxford rules: queries cropped to their boxes, junk taken out of the ranking."""
    database_ND = extract(describe, [(path, None) for path in retrieval_set.images], reader, batch_size=batch_size)
    queries_QD = extract(
        describe, [(query.path, query.box) for query in retrieval_set.queries], reader, batch_size=batch_size
    )
    gnd = [{"positives": query.positives, "junk": query.junk} for query in retrieval_set.queries]
    return evaluate_classic(rank(queries_QD, database_ND), gnd)
