"""Regions found in heatmaps, and operations shared by the augmentations that paste them."""

from __future__ import annotations

import tensorflow as tf

_TOLERANCE = 1e-4
"""Smaller differences between heat values are rounding errors; maps have steps of 1/255."""


def resize_by_area(maps: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Resize maps [B, h, w] to [B, H, W]; each cell is the mean of the area that it covers."""
    shape = tf.shape(maps)
    rows, columns = _overlap(size[0], shape[1]), _overlap(size[1], shape[2])
    return tf.matmul(rows, tf.matmul(tf.cast(maps, tf.float32), columns, transpose_b=True))


def _overlap(cells: int | tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Return the share of each cell that each pixel covers: [cells, pixels]; rows sum to 1."""
    step = tf.cast(pixels, tf.float32) / tf.cast(cells, tf.float32)
    starts = step * tf.range(tf.cast(cells, tf.float32))[:, tf.newaxis]
    left = tf.range(tf.cast(pixels, tf.float32))
    covered = tf.minimum(starts + step, left + 1.0) - tf.maximum(starts, left)
    return tf.nn.relu(covered) / step


def enlarge_cells(cells: tf.Tensor, side: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Enlarge cells [B, h, w] of any dtype to pixels [B, H, W], by nearest neighbour."""
    shape = tf.shape(cells)
    rows = tf.range(side[0]) * shape[1] // side[0]
    columns = tf.range(side[1]) * shape[2] // side[1]
    return tf.gather(tf.gather(cells, rows, axis=1), columns, axis=2)


def hottest_cells(heat: tf.Tensor, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Return the mask of the hottest `count` cells: [B, h, w] bool; ties are broken at random."""
    shape = tf.shape(heat)
    cells = shape[1] * shape[2]
    flat = tf.round(tf.reshape(heat, [shape[0], cells]) / _TOLERANCE)
    # `top_k` takes the first of equal values, so the order is made random.
    order = tf.argsort(tf.random.stateless_uniform([shape[0], cells], seed), axis=1)
    _, positions = tf.math.top_k(tf.gather(flat, order, batch_dims=1), count)
    chosen = tf.gather(order, positions, batch_dims=1)
    is_chosen = tf.reduce_any(tf.one_hot(chosen, cells, True, False), axis=1)
    return tf.reshape(is_chosen, shape)


def hottest_pixel(heat: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return row and column of the hottest pixel: [B, 2] int32; ties are broken at random."""
    shape = tf.shape(heat)
    flat = tf.reshape(heat, [shape[0], -1])
    is_top = flat >= tf.reduce_max(flat, axis=1, keepdims=True) - _TOLERANCE
    draw = tf.random.stateless_uniform(tf.shape(flat), seed)
    index = tf.argmax(tf.where(is_top, draw, -1.0), axis=1, output_type=tf.int32)
    return tf.stack([index // shape[2], index % shape[2]], axis=1)


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
    zeros = tf.zeros_like(scale[:, 0])
    # Row-major [a0 a1 a2 b0 b1 b2 c0 c1]: output (x, y) reads input (a0 x + a1 y + a2, ...).
    transforms = tf.stack(
        [scale[:, 1], zeros, shift[:, 1], zeros, scale[:, 0], shift[:, 0], zeros, zeros], axis=1
    )
    made = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    return tf.ensure_shape(made, images.shape)


def paste(
    images: tf.Tensor,
    labels: tf.Tensor,
    others: tf.Tensor,
    their_labels: tf.Tensor,
    mask: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Paste the others' pixels where the mask [B, H, W] is true, and mix labels by area."""
    share = tf.reduce_mean(tf.cast(mask, tf.float32), axis=[1, 2])[:, tf.newaxis]
    made = tf.where(mask[..., tf.newaxis], others, images)
    return made, labels * (1.0 - share) + their_labels * share


def spatial_size(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return height and width of images [B, H, W, C]."""
    shape = tf.shape(images)
    return shape[1], shape[2]
