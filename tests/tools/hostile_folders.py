"""Small sets in each layout, and what breaks them; for test_hostile_input.py."""
import json
import struct
import zlib
from typing import Callable

from PIL import Image

XML = ('<annotation><filename>{name}.jpg</filename><size><width>40</width><height>30</height>'
       '</size><object><name>ship</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>10</xmax>'
       '<ymax>20</ymax></bndbox></object></annotation>')
IDS = ('01', '02', '03', '04', '05', '06')


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def put_image(path, size=(40, 30), format='jpeg'):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 90).save(path, format=format)


def dior(root):
    for name in IDS:
        put(root / f'Annotations/{name}.xml', XML.format(name=name))
        put_image(root / f'JPEGImages/{name}.jpg')
    for split, ids in dict(train=IDS[:2], val=IDS[2:4], test=IDS[4:]).items():
        put(root / f'ImageSets/{split}.txt', '\n'.join(ids))


def nwpu(root):
    for name in IDS:
        put(root / f'ground_truth/{name}.txt', '(3,4),(10,20),2\n')
        put_image(root / f'positive_image_set/{name}.jpg')
    for split, ids in dict(train=IDS[:4], test=IDS[4:]).items():
        put(root / f'image_set/{split}.txt', '\n'.join(ids))


def simd(root):
    for name in IDS:
        put(root / f'images/{name}.txt', '0 .5 .5 .5 .5\n')
        put_image(root / f'images/{name}.jpg')
    for split, ids in dict(training=IDS[:2], validation=IDS[2:4], testing=IDS[4:]).items():
        put(root / f'{split}.txt', ''.join(f'./images/{name}.jpg\n' for name in ids))


def rsod(root):
    for folder in ('aircraft', 'oiltank', 'overpass', 'playground'):
        for name in IDS:
            put_image(root / folder / f'JPEGImages/{name}.jpg')
            put(root / folder / f'Annotation/labels/{name}.txt',
                f'{name}.jpg\t{folder}\t3\t4\t10\t20\n')


def voc(root):
    for name in IDS:
        put(root / f'labels/{name}.xml', XML.format(name=name))
        put_image(root / f'images/{name}.jpg')


def coco(root):
    for name in IDS:
        put_image(root / f'images/{name}.jpg')
    put(root / 'all.json', json.dumps(dict(
        images=[dict(id=int(name), file_name=f'{name}.jpg', width=40, height=30) for name in IDS],
        annotations=[dict(id=int(name), image_id=int(name), category_id=1, bbox=[3, 4, 5, 6])
                     for name in IDS],
        categories=[dict(id=1, name='ship')])))


LAYOUTS = dict(dior=(dior, 'dior'), nwpu=(nwpu, 'nwpu'), simd=(simd, 'simd'), rsod=(rsod, 'rsod'),
               voc=(voc, 'custom'), yolo=(simd, 'custom'), coco=(coco, 'custom'))


def edit(name, old, new):
    """Returns a breaker that replaces text in a file."""
    def apply(root):
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))
    return apply


def edit_json(change: Callable[[dict], None]):
    """Returns a breaker that changes the content of the COCO json."""
    def apply(root):
        content = json.loads((root / 'all.json').read_text())
        change(content)
        (root / 'all.json').write_text(json.dumps(content))
    return apply


def content(name, value):
    """Returns a breaker that replaces a whole file."""
    return lambda root: put(root / name, value)


def instead(name, make: Callable):
    """Returns a breaker that puts something else in a file's place."""
    def apply(root):
        (root / name).unlink()
        make(root / name)
    return apply


def cut(name, format='jpeg'):
    """Returns a breaker that leaves the first half of an image."""
    def apply(root):
        put_image(root / name, (40, 30), format)
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[:len(whole) // 2])
    return apply


def scramble(root):
    """Breaks an image inside; its header and its end stay."""
    put_image(root / 'JPEGImages/01.jpg', (40, 30), 'png')
    whole = bytearray((root / 'JPEGImages/01.jpg').read_bytes())
    whole[100:200] = bytes(100)
    (root / 'JPEGImages/01.jpg').write_bytes(whole)


def chunk(kind, data):
    return (struct.pack('>I', len(data)) + kind + data
            + struct.pack('>I', zlib.crc32(kind + data)))


def png(*chunks, side=40):
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + b''.join(chunks) + chunk(b'IEND', b'')


PIXEL_BOMB = png(chunk(b'IDAT', zlib.compress(bytes(10 ** 6))), side=60_000)
TEXT_BOMB = png(chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(10 ** 8))))
LAUGHS = ('<!DOCTYPE a [<!ENTITY a "ha">' + ''.join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip('abcdefgh', 'bcdefghi'))
    + ']><annotation>&i;</annotation>')
EXTERNAL = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>'
X1, I1 = 'Annotations/01.xml', 'JPEGImages/01.jpg'
