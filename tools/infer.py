"""Detects objects in images: drawn pictures, and all detections as COCO json.

Example: python tools/infer.py configs/vitdet_afa_toy.py work_dirs/vitdet_afa_toy/epoch_26.pth \\
    data/toy/JPEGImages-test --out detections
"""
import os
import sys
from pathlib import Path
from typing import List

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

import mmcv
from mmdet.apis import DetInferencer
from mmdet.apis.det_inferencer import IMG_EXTENSIONS

from mmfreeze.datasets.conversion import LabelError, read_lines
from mmfreeze.datasets.conversion.images import decode_image
from mmfreeze.evaluation.detections import coco_detections
from mmfreeze.utils.cli import config_parser, fail, load_config, one_line_errors, require_checkpoint
from mmfreeze.utils.files import write_text_atomic


def find_images(source: Path) -> List[Path]:
    """Lists the images that are meant.

    Args:
        source (Path): An image; or a folder, with all below it; or a ``.txt`` file with one path
            per line, relative to its own folder.

    Returns:
        list[Path]: Absolute paths without ``..``, whether they exist or not.

    Raises:
        ValueError: There is nothing, or no image in the folder.
        ConversionError: The list is empty or not in UTF-8.
    """
    if source.is_dir():
        images = sorted(path for path in source.rglob('*')
                        if path.suffix.lower() in IMG_EXTENSIONS)
    elif source.suffix.lower() == '.txt' and source.is_file():
        images = [source.parent / line for line in read_lines(source, 'images')]
    elif source.is_file():
        images = [source]
    else:
        raise ValueError(f'there is no image, folder or list {source}')
    if not images:  # a folder without any
        raise ValueError(f'{source} names no image; known are {" ".join(IMG_EXTENSIONS)}')
    return [Path(os.path.abspath(path)) for path in images]


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('source', type=Path, help='an image, a folder of images, or a .txt list '
                        'of paths relative to its own folder')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder for detections.json and the pictures, in vis/')
    parser.add_argument('--score-thr', type=float, default=.3,
                        help='draw detections of at least this score; the json has all of them '
                        '(default: 0.3)')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')
    args = parser.parse_args()
    with one_line_errors():
        cfg = load_config(args.config, args.cfg_options)
        require_checkpoint(args.checkpoint)
        images = find_images(args.source)
        root = Path(os.path.commonpath([path.parent for path in images]))
        (args.out / 'vis').mkdir(parents=True, exist_ok=True)
        inferencer = DetInferencer(cfg, args.checkpoint, device=args.device, show_progress=False)
        found, refused = {}, []
        for number, path in enumerate(images, 1):
            name = str(path.relative_to(root))
            try:
                decode_image(root, name)  # OpenCV would fill what is missing with grey
                result = inferencer(str(path), return_datasamples=True, return_vis=True,
                                    pred_score_thr=args.score_thr)
            except (LabelError, AssertionError) as error:  # mmcv's assert: a codec is missing
                refused.append(str(error))
                continue
            found[name] = result['predictions'][0]
            picture = result['visualization'][0][..., ::-1]  # RGB to BGR
            mmcv.imwrite(picture, str(args.out / 'vis' / name))
            count = int((found[name].pred_instances.scores >= args.score_thr).sum())
            print(f'[{number}/{len(images)}] {name}: {count} detections of score '
                  f'{args.score_thr} or more')
        content = coco_detections(found, inferencer.model.dataset_meta['classes'])
        write_text_atomic(args.out / 'detections.json', content)
        print(f'{len(found)} of {len(images)} images: {args.out / "detections.json"}, pictures in '
              f'{args.out / "vis"}')
    if refused:
        print('\n'.join(refused), file=sys.stderr)
        fail(f'{len(refused)} of {len(images)} images could not be read; the others are done')


if __name__ == '__main__':
    main()
