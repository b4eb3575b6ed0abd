"""Any picture as RGB, a strip at a time, so that no second copy of all of it is made."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

STRIP_PIXELS = 2**20
WHITES = (1.0, 255.0, 65535.0)
"""What white may be in a picture of floats: a share, 8 bits, 16 bits."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture as RGB, transparent parts white; one that is so already is given back.

    Grey values of 16 and 32 bits and floats are brought to 8 bits: see `white_of`.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    white = white_of(image)
    found = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        found.paste(_flatten(strip, white), (0, top))
    return found


def white_of(image: Image.Image) -> float | None:
    """The value that is white, for grey values of more than 8 bits; None for any other picture.

    65535 for 16 bits. A picture of 32-bit integers or of floats does not say it: the least of 1
    (floats alone), 255 and 65535 that is not below its brightest value, or else that value.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return None
    import numpy as np  # noqa: PLC0415 - heavy, and rarely needed

    strips = (np.asarray(strip) for _, strip in _strips(image))
    brightest = max(float(np.max(s, initial=0.0, where=np.isfinite(s))) for s in strips)
    whites = WHITES if image.mode == "F" else WHITES[1:]
    return next((white for white in whites if brightest <= white), brightest)


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture from top to bottom, each strip with the row it begins at."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _flatten(strip: Image.Image, white: float | None) -> Image.Image:
    if white is not None:
        import numpy as np  # noqa: PLC0415 - heavy, and rarely needed

        values = np.nan_to_num(np.asarray(strip, dtype=np.float64), nan=0.0)
        shares = np.clip(values / white, 0, 1)
        return Image.fromarray(np.rint(shares * 255).astype(np.uint8)).convert("RGB")
    if strip.has_transparency_data:
        strip = strip.convert("RGBA")
        ground = Image.new("RGBA", strip.size, "white")
        return Image.alpha_composite(ground, strip).convert("RGB")
    return strip.convert("RGB")
