"""Networks in ONNX Runtime: export, running and timing."""
