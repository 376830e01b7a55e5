"""Turns a trained Keras classifier into one ONNX file that explains its own answers."""
