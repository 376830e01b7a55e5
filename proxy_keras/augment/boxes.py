"""Boxes in images: masks of them, boxes around masks, and images resized from box to box."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.augment.geometry import transform


def boxes_around(
    centres: tf.Tensor, sides: tf.Tensor, image_side: tuple[tf.Tensor, tf.Tensor]
) -> tf.Tensor:
    """Return boxes of the given sides around centres, clipped to the image.

    Args:
        centres: [B, 2] int32, row and column.
        sides: [B, 2] int32, height and width in pixels.
        image_side: Height and width of the images.

    Returns:
        [B, 4] int32: y0, x0, y1, x1, the last two exclusive.
    """
    limit = tf.stack(image_side)
    start = centres - sides // 2
    return tf.concat(
        [tf.clip_by_value(start, 0, limit), tf.clip_by_value(start + sides, 0, limit)], axis=1
    )


def box_masks(boxes: tf.Tensor, image_side: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Return the masks of the pixels inside boxes [B, 4]: [B, H, W] bool."""
    rows, columns = tf.range(image_side[0]), tf.range(image_side[1])
    y0, x0, y1, x1 = (edge[:, tf.newaxis] for edge in tf.unstack(boxes, axis=1))
    in_rows = (rows >= y0) & (rows < y1)
    in_columns = (columns >= x0) & (columns < x1)
    return in_rows[:, :, tf.newaxis] & in_columns[:, tf.newaxis, :]


def rectangles(
    top: tf.Tensor, left: tf.Tensor, height: tf.Tensor, width: tf.Tensor, size: tuple
) -> tf.Tensor:
    """Return the mask of a rectangle in each image; it may extend beyond the image.

    Args:
        top, left: [B] first row and column, whole numbers.
        height, width: [B] rows and columns, whole numbers.
        size: (H, W) of the images.

    Returns:
        [B, H, W, 1] bool.
    """
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    return box_masks(tf.cast(boxes, tf.int32), size)[..., tf.newaxis]


def bounding_boxes(masks: tf.Tensor) -> tf.Tensor:
    """Return the bounding boxes of masks [B, H, W]: [B, 4] int32; zeros for empty masks."""
    edges = []
    for axis in (2, 1):
        is_hit = tf.reduce_any(masks, axis=axis)
        length = tf.shape(is_hit)[1]
        pixels = tf.range(length)
        edges.append(
            (
                tf.reduce_min(tf.where(is_hit, pixels, length), axis=1),
                tf.reduce_max(tf.where(is_hit, pixels + 1, 0), axis=1),
            )
        )
    (y0, y1), (x0, x1) = edges
    boxes = tf.stack([y0, x0, y1, x1], axis=1)
    return tf.where(tf.reduce_any(masks, axis=[1, 2])[:, tf.newaxis], boxes, 0)


def warp_boxes(images: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Resize and move images so that the source box lands on the target box.

    Args:
        images: [B, H, W, C] float32.
        sources: [B, 4] y0, x0, y1, x1.
        targets: [B, 4].

    Returns:
        [B, H, W, C] float32, bilinear with half-pixel centres; edge pixels repeat beyond the image.
    """
    sources, targets = tf.cast(sources, tf.float32), tf.cast(targets, tf.float32)
    scale = (sources[:, 2:] - sources[:, :2]) / tf.maximum(targets[:, 2:] - targets[:, :2], 1.0)
    shift = sources[:, :2] + (0.5 - targets[:, :2]) * scale - 0.5
    coefficients = (scale[:, 1], 0.0, shift[:, 1], 0.0, scale[:, 0], shift[:, 0])
    return transform(images, coefficients, "NEAREST")
