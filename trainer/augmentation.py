"""Images moved, turned and scaled a little, at random and different in every step: more to learn from."""

from typing import Any

from trainer.tf import tensorflow

_TURN = 2.0  # radians at strength 1


def affine(strength: float, shape: tuple[int, ...]) -> Any:
    """Return a change of image batches, as `trainer.fit.Fit.augment` takes it.

    Parameters
    ----------
    strength
        Largest shift and change of scale as a share of the size, and twice of it in radians the largest turn.
    shape
        Of an image: height, width, channels.
    """
    tf = tensorflow()
    height, width = shape[0], shape[1]

    def change(images: Any, seed: Any) -> Any:
        count = tf.shape(images)[0]
        drawn = tf.random.stateless_uniform([5, count], seed, -strength, strength)
        scale_x, scale_y = 1 + drawn[0], 1 + drawn[1]
        cosine, sine = tf.cos(_TURN * drawn[2]), tf.sin(_TURN * drawn[2])
        a, b, c, d = scale_x * cosine, -scale_y * sine, scale_x * sine, scale_y * cosine
        # Turned and scaled about the middle, then moved.
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        x = middle_x - a * middle_x - b * middle_y + drawn[3] * width
        y = middle_y - c * middle_x - d * middle_y + drawn[4] * height
        zero = tf.zeros_like(x)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.stack([a, b, x, c, d, y, zero, zero], axis=1),
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )

    return change
