"""EfficientNet-Lite0 in Keras, with ImageNet weights out of a PyTorch file, without PyTorch."""
