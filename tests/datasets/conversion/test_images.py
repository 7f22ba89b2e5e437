"""Which image files are taken for whole, and their size as training sees it."""
import pytest
from mmcv import imread
from PIL import Image

from mmfreeze.datasets.conversion import LabelError
from mmfreeze.datasets.conversion.images import decode_image, read_image_size


@pytest.mark.parametrize('format', ['jpeg', 'png', 'tiff', 'bmp', 'webp'])
def test_truncation_is_seen(tmp_path, format):
    Image.effect_noise((64, 48), 90).save(tmp_path / 'image', format=format)
    assert read_image_size(tmp_path, 'image') == (64, 48)
    whole = (tmp_path / 'image').read_bytes()
    (tmp_path / 'image').write_bytes(whole[:-400])
    with pytest.raises(LabelError, match='^image: '):
        read_image_size(tmp_path, 'image')


@pytest.mark.parametrize('format', ['jpeg', 'png'])
def test_what_follows_the_end_does_no_harm(tmp_path, format):
    Image.effect_noise((64, 48), 90).save(tmp_path / 'image', format=format)
    with open(tmp_path / 'image', 'ab') as file:
        file.write(bytes(9) + b'a note of the camera')
    assert read_image_size(tmp_path, 'image') == (64, 48)
    decode_image(tmp_path, 'image')


@pytest.mark.parametrize('format', ['jpeg', 'png'])
def test_whole_images_are_not_decoded(tmp_path, monkeypatch, format):
    """23,000 images would take minutes."""
    Image.new('RGB', (64, 48)).save(tmp_path / 'image', format=format)
    monkeypatch.setattr('PIL.ImageFile.ImageFile.load', lambda image: pytest.fail('decoded'))
    assert read_image_size(tmp_path, 'image') == (64, 48)


@pytest.mark.parametrize('orientation, size', [(1, (64, 48)), (3, (64, 48)), (6, (48, 64))])
def test_size_is_that_of_the_turned_image(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new('RGB', (64, 48)).save(tmp_path / 'image.jpg', exif=exif)
    assert read_image_size(tmp_path, 'image.jpg') == size
    assert imread(str(tmp_path / 'image.jpg')).shape[1::-1] == size
