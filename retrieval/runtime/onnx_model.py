"""A network as an ONNX model, and an ONNX model run on the CPU. Letters: N images, C H W, D descriptor size."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from retrieval.descriptors.extract import Describe
from retrieval.images import ImageSize, height_and_width

INPUT, OUTPUT = "images", "descriptors"


def to_onnx(network: nn.Module, image_size: ImageSize) -> bytes:
    """Export a network as a serialised ONNX model, images N×3×H×W → descriptors N×D, with N, H and W left open.

    Args:
        network: left as it is; exported in eval mode on the CPU.
        image_size: of the example, square or high × wide, that the network is traced with; other sizes run too.
    """
    device, training = next(network.parameters()).device, network.training
    # Two images: the exporter takes a size of 1 for a constant.
    example_NCHW = torch.zeros(2, 3, *height_and_width(image_size))
    names = dict(enumerate(("images", None, "height", "width")))
    dynamic = {axis: torch.export.Dim.DYNAMIC for axis, name in names.items() if name}
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # The exporter warns of deprecations inside torch itself, which its caller cannot act on.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network.cpu().eval(),
                (example_NCHW,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(dynamic,),
            )
    finally:
        exporter_log.setLevel(level)
        network.to(device).train(training)
    assert program is not None
    model = program.model_proto
    # The exporter notes at each node from which line of which file it came: paths of this machine, a third of the bytes
    # of a small model, and of no use where it runs.
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        del node.metadata_props[:]
    return model.SerializeToString()


def open_session(model: bytes | Path, *, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open an ONNX Runtime session on the CPU with a fixed number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle worker threads that spin take the core from whatever runs beside the session.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def describe_in(session: onnxruntime.InferenceSession) -> Describe:
    """Return the session as a function from images to descriptors."""

    def describe(images_NCHW: Tensor) -> np.ndarray:
        (descriptors_ND,) = session.run([OUTPUT], {INPUT: images_NCHW.numpy()})
        return np.asarray(descriptors_ND)

    return describe
