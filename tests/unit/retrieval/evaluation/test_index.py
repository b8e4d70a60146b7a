import faiss
import numpy as np
import pytest

from retrieval.evaluation.exact_search import distance_rows, gallery_parts
from retrieval.evaluation.index import build_index, index_bytes, rank, search, search_ms


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_units(count: int, size: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, size)))


def test_the_ranking_is_that_of_the_inner_products():
    queries, database = random_units(5, 16), random_units(50, 16, seed=1)
    expected = np.argsort(-(queries @ database.T), axis=1, kind="stable")
    assert np.array_equal(rank(queries, database), expected)


def test_equal_scores_rank_by_lowest_index():
    database = np.repeat(unit(np.eye(2)), 6, axis=0)
    assert rank(unit(np.array([[1.0, 0.2]])), database)[0].tolist() == list(range(12))
    assert rank(unit(np.array([[1.0, 0.2]])), database, count=8)[0].tolist() == list(range(8))


@pytest.mark.parametrize("queries", [1, 2, 7, 70])
@pytest.mark.parametrize("size", [3, 16, 64, 100, 512])
def test_equal_descriptors_get_equal_distances_wherever_they_stand(queries, size):
    for count in (5, 15, 31, 33, 5000):
        copies = np.repeat(random_units(1, size), count, axis=0)
        for distance_N in distance_rows(random_units(queries, size, seed=1), copies):
            assert np.unique(distance_N).size == 1


def test_a_database_that_cannot_be_written_to_is_searched_without_a_warning():
    queries, database = random_units(3, 8), random_units(20, 8, seed=1)
    for array in (queries, database):
        array.flags.writeable = False
    products = queries @ database.T
    assert np.allclose(np.stack(list(distance_rows(queries, database))), -products, atol=1e-6)


def test_only_the_best_are_kept_when_asked():
    database = random_units(9, 4)
    assert np.array_equal(rank(database, database, count=3), rank(database, database)[:, :3])
    assert rank(database, database, count=30).shape == (9, 9)
    assert rank(database, database, count=0).shape == (9, 0)


def test_a_database_in_parts_on_disk_ranks_as_one_in_memory(tmp_path):
    queries, database = random_units(4, 8), random_units(60, 8, seed=1)
    parts = []
    for start, stop in ((0, 7), (7, 7), (7, 60)):
        np.save(tmp_path / f"{start}_{stop}.npy", database[start:stop])
        parts.append(np.load(tmp_path / f"{start}_{stop}.npy", mmap_mode="r" if stop > start else None))
    assert np.array_equal(rank(queries, parts), rank(queries, database))


def test_half_precision_parts_are_compared_in_single():
    queries, half = random_units(3, 8), random_units(20, 8, seed=1).astype(np.float16)
    assert np.array_equal(rank(queries, half), rank(queries, half.astype(np.float32)))


@pytest.mark.parametrize("tile", [1, 50, 170, 10**6])
def test_however_few_distances_are_held_at_once_the_rows_come_in_order(tile):
    queries = np.random.default_rng(0).integers(-4, 5, (7, 6)).astype(np.float32)
    database = np.random.default_rng(1).integers(-4, 5, (50, 6)).astype(np.float32)
    rows = list(distance_rows(queries, database, tile=tile))
    assert np.array_equal(np.stack(rows), -(queries @ database.T))


def test_no_queries_have_no_rows():
    assert list(distance_rows(np.empty((0, 4), dtype=np.float32), random_units(3, 4))) == []


def test_descriptors_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 5\); N × 4"):
        gallery_parts([random_units(2, 4), random_units(3, 5)], 4)


def test_the_exact_index_of_faiss_ranks_alike():
    queries, database = random_units(6, 16), random_units(200, 16, seed=1)
    found = search(build_index(database, "Flat"), queries, 200)
    assert np.array_equal(found, rank(queries, database))


def test_more_lists_probed_find_more_of_the_nearest():
    queries, database = random_units(40, 16), random_units(2000, 16, seed=1)
    nearest = rank(queries, database, count=1)
    few, all_lists = (
        (search(build_index(database, factory), queries, 1) == nearest).mean()
        for factory in ("IVF32,Flat", "IVF32,Flat;nprobe=32")
    )
    assert few < all_lists == 1


def test_an_index_that_finds_too_few_pads_with_minus_one_at_the_end():
    ranks = search(build_index(random_units(400, 8), "IVF8,Flat"), random_units(5, 8, seed=1), 400)
    assert (ranks[:, -1] == -1).all()
    assert (ranks[:, 0] >= 0).all()
    assert (np.diff((ranks == -1).astype(int), axis=1) >= 0).all()


@pytest.mark.parametrize(("factory", "bytes_each"), [("Flat", 64), ("SQ8", 16), ("PQ4", 4)])
def test_index_bytes_are_the_codes_and_little_more(factory, bytes_each):
    sizes = [index_bytes(build_index(random_units(count, 16), factory)) for count in (1000, 3000)]
    assert sizes[1] - sizes[0] == 2000 * bytes_each


@pytest.mark.parametrize("factory", ["IVF16,Flat", "HNSW8", "PCA8,SQ8"])
def test_index_bytes_are_the_size_of_the_written_file(tmp_path, factory):
    index = build_index(random_units(700, 16), factory)
    faiss.write_index(index, str(tmp_path / "index"))
    assert index_bytes(index) == (tmp_path / "index").stat().st_size


def test_an_index_may_be_fitted_to_other_vectors():
    database, others = random_units(300, 8), random_units(300, 8, seed=5)
    own, given = (build_index(database, "PCA4,Flat", training_ND=each) for each in (None, others))
    assert not np.array_equal(own.reconstruct_n(0, 3), given.reconstruct_n(0, 3))
    assert given.ntotal == 300


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("bogus", "could not parse index string bogus"),
        ("", "could not parse"),
        ("PQ7", "multiple of the number of subquantizers"),
        ("IVF4096,Flat", r"training points \(100\) should be at least as large as number of clusters \(4096\)"),
        ("IVF4,Flat;probes=3", "could not set parameter probes"),
    ],
)
def test_an_index_that_cannot_be_made_is_refused_in_one_line(factory, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        build_index(random_units(100, 16), factory)
    message = str(caught.value)
    assert message.startswith(f"faiss makes no index {factory!r} of 100 vectors of size 16: ")
    assert "\n" not in message
    assert ".cpp" not in message


def test_searching_a_larger_database_takes_longer_and_leaves_the_threads_as_they_were():
    queries, database = random_units(8, 64), random_units(40_000, 64, seed=1)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    try:
        short_ms, long_ms = (search_ms(build_index(database[:n], "Flat"), queries, 10) for n in (4_000, 40_000))
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)
    assert 0 < short_ms < long_ms
