"""Looking at image files without trusting them."""
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Tuple

from PIL import Image, UnidentifiedImageError

from .record import LabelError

# How a complete file of these formats ends.
ENDINGS = dict(JPEG=b'\xff\xd9', PNG=b'IEND\xaeB`\x82')
ORIENTATION = 0x0112


def read_image_size(root: Path, file_name: str) -> Tuple[int, int]:
    """Returns (width, height) as training will see the image, and refuses a truncated file.

    Whether a JPEG or PNG file is complete shows in its last bytes. Where they look otherwise, and
    in other formats, the pixels are decoded to find out.

    Args:
        root: The folder of the data set.
        file_name: The image's path below it.

    Raises:
        LabelError: If the file is missing or cannot be opened as an image.
    """
    with _opened(root, file_name) as image:
        file = image.fp
        place = file.tell()
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 64))
        tail = file.read().rstrip(b'\0')
        file.seek(place)
        if image.format not in ENDINGS or not tail.endswith(ENDINGS[image.format]):
            image.load()
        width, height = image.size
        # OpenCV, which loads the images in training, turns them as their EXIF entry says.
        # (The base class's method, for that of PNG decodes the image.)
        if Image.Image.getexif(image).get(ORIENTATION, 1) in (5, 6, 7, 8):
            width, height = height, width
        return width, height


def decode_image(root: Path, file_name: str) -> None:
    """Decodes every pixel, to find files that are broken inside.

    Raises:
        LabelError: If the file is missing or cannot be decoded.
    """
    with _opened(root, file_name) as image:
        image.load()


@contextmanager
def _opened(root: Path, file_name: str) -> Iterator[Image.Image]:
    try:
        path = root / file_name
        if path.exists() and not path.is_file():
            raise LabelError(f'{file_name}: is no regular file; remove it')
        with Image.open(path) as image:
            yield image
    except LabelError:
        raise
    except FileNotFoundError as error:
        raise LabelError(f'{file_name}: the image is missing') from error
    except UnidentifiedImageError as error:
        raise LabelError(f'{file_name}: is no image; replace or remove it') from error
    except OSError as error:
        raise LabelError(f'{file_name}: cannot be decoded ({error.strerror or error}); replace or '
                         'remove it') from error
    except Image.DecompressionBombError as error:
        raise LabelError(f'{file_name}: has more than {2 * Image.MAX_IMAGE_PIXELS} pixels, which '
                         'may be an attack; cut the image into tiles') from error
    except MemoryError as error:
        raise LabelError(f'{file_name}: does not fit into memory; cut it into tiles') from error
    except Exception as error:  # Pillow's decoders let anything out of a broken file
        raise LabelError(f'{file_name}: cannot be decoded ({error}); replace or '
                         'remove it') from error
