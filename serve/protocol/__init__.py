"""The Open Inference Protocol (V2) over HTTP: conversion between bytes and arrays."""

from serve.protocol.request import (
    InferRequest,
    RequestedOutput,
    parse_header_length,
    parse_infer_request,
)
from serve.protocol.response import HEADER_LENGTH, build_infer_response
from serve.protocol.spec import (
    EXTENSIONS,
    INPUT_NAME,
    MODEL_VERSION,
    Datatype,
    ModelSpec,
    ProtocolError,
    model_metadata,
    server_metadata,
)

__all__ = [
    "EXTENSIONS",
    "HEADER_LENGTH",
    "INPUT_NAME",
    "MODEL_VERSION",
    "Datatype",
    "InferRequest",
    "ModelSpec",
    "ProtocolError",
    "RequestedOutput",
    "build_infer_response",
    "model_metadata",
    "parse_header_length",
    "parse_infer_request",
    "server_metadata",
]
