"""The network in ONNX Runtime: exported, run, and timed."""
