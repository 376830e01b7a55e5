"""The Open Inference Protocol (V2) over HTTP: conversion between bytes and arrays."""
