"""Descriptors of a folder of images by a bundle's network, from which a deployed index is built."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from pruning.identity import sha256_prefix
from retrieval.datasets.base import ExifOrientation
from retrieval.datasets.image_files import list_images
from retrieval.datasets.left_out import LeftOut
from retrieval.descriptors.extract import Progress
from retrieval.descriptors.files import write_parquet
from retrieval.descriptors.prefetch import Item
from retrieval.descriptors.store import Kind, data_digest, extract_stored, store_key
from retrieval.image_sizes import check_large_enough, smallest_side
from retrieval.images import ImageReader
from retrieval.runtime.onnx_model import describe_in, open_session
from retrieval.text import name_to_text, need_text
from search.results.export import NETWORK_JSON, NetworkCard
from tracking.provenance import provenance
from trainables.baseline import build_dense, descriptor_size
from trainables.delivery import with_blank_delivery
from trainables.threads import available_threads


@dataclass(frozen=True)
class Job:
    """A folder of images to describe into one new Parquet file.

    Attributes:
        bundle: whose network describes.
        folder: of the images.
        names: of the images, relative to the folder.
        left_out: what else lies in the folder.
        out: the Parquet file.
        kind: of the numbers.
        exif_orientation: how the images are read.
    """

    bundle: Path
    folder: Path
    names: tuple[str, ...]
    left_out: LeftOut
    out: Path
    kind: Kind
    exif_orientation: ExifOrientation = "apply"


def plan_description(
    bundle: Path, folder: Path, out: Path, kind: Kind, exif_orientation: ExifOrientation = "apply"
) -> Job:
    """Find the images, and check that they can be described.

    Args:
        bundle: a folder that `export` wrote.
        folder: of images, in folders of any depth.
        out: the Parquet file, which must not exist yet.
        kind: of the numbers that are kept.
        exif_orientation: "apply" turns photographs upright, whatever the bundle's data set does; "ignore" takes them as
            stored.

    Raises:
        ValueError: there is no bundle, there are no images, or `out` exists or is no name in UTF-8.
    """
    if not (bundle / "model.onnx").is_file():
        raise ValueError(f"{bundle} is no bundle: it has no model.onnx")
    if out.exists():
        raise ValueError(f"{out} is there already: name a new file for the descriptors")
    need_text(out.absolute(), "the file of descriptors")
    found = list_images(folder)
    if not found.names:
        more = f" ({found.left_out})" if found.left_out else ""
        raise ValueError(f"{folder} is missing or holds no image{more}; a folder with some below it is right")
    return Job(bundle, folder, tuple(found.names), found.left_out, out, kind, exif_orientation)


def describe_folder(job: Job, progress: Progress | None = None) -> int:
    """Write the Parquet file, with the columns `image` (the name below the folder) and `descriptor`.

    Of a name that is no UTF-8 the column holds what `retrieval.text.name_to_text` returns.

    Finished parts are kept beside the file until all are done: an interrupted call goes on where it was.

    Args:
        job: see `plan_description`.
        progress: called with how many images are done, and of how many.

    Returns:
        The size of a descriptor.

    Raises:
        UnreadableImagesError: names every image that could not be read.
        ValueError: the bundle is damaged, or images are too small for its network (named); before any is described.
    """
    card = NETWORK_JSON.read(job.bundle / "network.json")
    model = (job.bundle / "model.onnx").read_bytes()
    images: list[Item] = [(job.folder / name, None) for name in job.names]
    _check_sizes(card, images, job.exif_orientation)
    digest = sha256_prefix(model)
    settings = {"image_size": str(card.data.image_size), "kind": job.kind, "exif_orientation": job.exif_orientation}
    unfinished = job.out.absolute().parent / f".{job.out.name}.{store_key(digest, data_digest(images), settings)}"
    origin = {
        **provenance(device="cpu"),
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "exif_orientation": job.exif_orientation,
    }
    parts = extract_stored(
        describe_in(open_session(model, threads=available_threads())),
        images,
        ImageReader(card.data.image_size, cache_bytes=0, exif_orientation=job.exif_orientation),
        unfinished,
        kind=job.kind,
        provenance=origin,
        batch_size=card.evaluation.batch_size,
        progress=progress,
    )
    write_parquet(job.out, [name_to_text(name) for name in job.names], parts, origin)
    shutil.rmtree(unfinished)
    return int(parts[0].shape[1])


def _check_sizes(card: NetworkCard, images: list[Item], exif_orientation: ExifOrientation) -> None:
    # The dense shape: a cut changes no strides. The session itself would write of each size that it cannot take.
    dense = build_dense(card.network, card.classes).eval()
    size = descriptor_size(dense, card.data.image_size)
    needed = smallest_side(with_blank_delivery(dense, card.descriptor, size).eval())
    check_large_enough(images, needed, card.data.image_size, exif_orientation, threads=available_threads())
