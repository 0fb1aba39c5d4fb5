"""An image: its bytes in, what it shows in numbers and two thumbnails out.

It is decoded whole before anything is said of it: first bytes can lie. What a camera wrote beside the pixels
(place, owner, time) is in none of what is made.
"""

import warnings
from io import BytesIO
from typing import Final

from PIL import Image, UnidentifiedImageError

from file_service.findings import Findings, Limits, Made, Progress, Subject, Unusable
from file_service.sniffing import Sniffed

THUMBNAILS: Final = (512, 128)
"""Pixels of the longer side."""

_FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
_MOST_FRAMES: Final = 1_000
_QUALITY: Final = 80
_ORIENTATION: Final = 0x0112
_TRANSPARENT: Final = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_REDUCIBLE: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"})
_OF_16_BITS: Final = 1 / 256
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn an image of this EXIF orientation."""

_BROKEN: Final = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError)
"""What Pillow raises for bytes that are no image of their format."""


def examine_image(subject: Subject, sniffed: Sniffed, limits: Limits, progress: Progress) -> Findings:
    """Format, size as it is shown, frames, and thumbnails; Unusable for what is broken or a bomb."""
    Image.MAX_IMAGE_PIXELS = None  # ours is checked below, with a word for the one who sent it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken metadata, which nobody asked for
        try:
            with Image.open(subject.path, formats=_FORMATS) as image:
                _refuse_bomb(image, limits)
                return _examined(image, sniffed, progress)
        except UnidentifiedImageError:
            raise Unusable(f"begins as {sniffed.media_type} does, but is none") from None
        except Image.DecompressionBombError as error:
            raise Unusable(f"the image would be too large: {error}") from None
        except _BROKEN as error:
            raise Unusable(f"the {sniffed.media_type} cannot be decoded: {error}") from None


def _refuse_bomb(image: Image.Image, limits: Limits) -> None:
    pixels = image.width * image.height
    if pixels > limits.pixels:
        raise Unusable(f"the image has {image.width} x {image.height} pixels; {limits.pixels} are allowed")


def _examined(image: Image.Image, sniffed: Sniffed, progress: Progress) -> Findings:
    form, mode, size = image.format, image.mode, image.size
    orientation = int(image.getexif().get(_ORIENTATION, 1))
    is_transparent = _is_transparent(image)
    frames, is_more = _frames(image)
    progress.part(0.0, 0.3, "decoding").at(0.5)
    image.seek(0)
    image.load()
    progress.part(0.3, 0.9, "making thumbnails").at(0.5)
    made = _thumbnails(image, orientation)
    width, height = size[::-1] if orientation in range(5, 9) else size
    return Findings(
        {
            "kind": "image",
            "media_type": sniffed.media_type,
            "format": form,
            "width": width,
            "height": height,
            "mode": mode,
            "has_transparency": is_transparent,
            "frames": frames,
            "frames_are_more": is_more,
            "orientation": orientation,
        },
        made,
    )


def _frames(image: Image.Image) -> tuple[int, bool]:
    """How many frames there are, counted by going there; beyond 1,000 nobody counts on."""
    if not getattr(image, "is_animated", False) and getattr(image, "n_frames", 1) == 1:
        return 1, False
    frames = 0
    try:
        while frames < _MOST_FRAMES:
            image.seek(frames)
            frames += 1
    except EOFError:
        return frames, False
    return frames, True


def _thumbnails(image: Image.Image, orientation: int) -> list[Made]:
    """The first frame, small, upright and with nothing beside its pixels."""
    made: list[Made] = []
    small = _plain(image)
    for side in THUMBNAILS:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        upright = small.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else small
        target = BytesIO()
        _bare(upright).save(target, "WEBP", quality=_QUALITY)
        made.append(Made(f"thumbnail-{side}.webp", "image/webp", target.getvalue()))
    return made


def _plain(image: Image.Image) -> Image.Image:
    """Red, green and blue, perhaps with transparency; already smaller where that is cheap."""
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value * _OF_16_BITS).convert("L")
    is_transparent = _is_transparent(image)
    factor = max(image.width, image.height) // (THUMBNAILS[0] * 3)
    if factor > 1 and image.mode in _REDUCIBLE:
        image = image.reduce(factor)
    return image.convert("RGBA" if is_transparent else "RGB")


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in _TRANSPARENT or "transparency" in image.info


def _bare(image: Image.Image) -> Image.Image:
    """The pixels alone: no EXIF, no colour profile, no comment."""
    bare = Image.new(image.mode, image.size)
    bare.paste(image)
    return bare
