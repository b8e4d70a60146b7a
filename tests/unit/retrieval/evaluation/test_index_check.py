"""An index that the database is too small for is refused before anything is described."""

import pytest

from retrieval.evaluation.index import training_stride
from retrieval.evaluation.index_check import check_factory, rehearse


@pytest.mark.parametrize("factory", ["Flat", "IVF16,PQ4x4;nprobe=8", "HNSW16", "SQ8", "IVF16_HNSW8,Flat", "PCAR8,SQ8"])
def test_an_index_that_the_database_suits_passes(factory):
    rehearse(factory, 16, 60)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("IVF256,Flat", r"of 60 vectors of size 16: .*points \(60\) should be at least as large as .*clusters \(256\)"),
        ("PQ4", "at least as large as number of clusters"),
        ("IVF16,PQ4", "at least as large as number of clusters"),
        ("HNSW16_PQ4", "at least as large as number of clusters"),
        ("OPQ4,PQ4", "at least as large as number of clusters"),
        ("PQ7", "multiple of the number of subquantizers"),
        ("PCA32,Flat", "PCA"),
        ("NSG16,Flat", "smaller than 100"),
        ("IVF16,Flat;nprob=8", "could not set parameter nprob"),
        ("IDMap,Flat", "add_with_ids"),
        ("LSH", "METRIC_L2"),
        ("Fast", "could not parse"),
    ],
)
def test_an_index_that_it_does_not_suit_is_refused_with_faiss_s_reason(factory, reason):
    with pytest.raises(ValueError, match=reason):
        rehearse(factory, 16, 60)


def test_more_vectors_are_tried_where_few_do_not_do():
    rehearse("IVF2048,Flat", 4, 4096)
    with pytest.raises(ValueError, match=r"of 2000 vectors"):
        rehearse("IVF2048,Flat", 4, 2000)


def test_the_check_runs_in_a_process_of_its_own_which_faiss_may_end():
    check_factory("IVF16,Flat", 60, 16)
    with pytest.raises(
        ValueError, match=r"^faiss makes no index 'PQ16x4' of 60 vectors of size 24: .*multiple"
    ) as caught:
        check_factory("PQ16x4", 60, 32, 24)
    assert "\n" not in str(caught.value)
    with pytest.raises(
        ValueError, match=r"^faiss makes no index 'HNSW0' of 60 vectors of size 16: it ends its process"
    ):
        check_factory("HNSW0", 60, 16)


def test_a_large_database_is_fitted_to_a_part_of_it():
    assert (training_stride(131_072), training_stride(131_073)) == (1, 2)
