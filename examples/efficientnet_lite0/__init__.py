"""EfficientNet-Lite0 in Keras, with ImageNet weights read from a PyTorch file without PyTorch."""
