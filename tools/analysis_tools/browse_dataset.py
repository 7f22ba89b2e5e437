"""Draws images of a config's data set with their boxes; those for training as augmented.

Example: python tools/analysis_tools/browse_dataset.py configs/vitdet_afa_dior.py --out browsed
"""
import sys
from pathlib import Path

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmdet.registry import VISUALIZERS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfreeze.analysis.annotated_images import annotated_image, annotated_images, evenly_spread
from mmfreeze.utils.cli import config_parser, load_config, one_line_errors


def browse(cfg: Config, split: str, count: int, out: Path) -> int:
    """Draws images that lie evenly spread over a data set.

    Args:
        cfg (Config): The config.
        split (str): Whose loader's data set: ``train``, ``val`` or ``test``.
        count (int): How many images at most.
        out (Path): The folder for the pictures, ``<index>_<name of the image>``.

    Returns:
        int: How many were drawn.

    Raises:
        ValueError: The config has no such loader, or nothing is left of the set.
    """
    dataset = annotated_images(cfg, split)
    visualizer = VISUALIZERS.build(cfg.visualizer)
    visualizer.dataset_meta = dataset.metainfo
    indices = evenly_spread(len(dataset), count)
    for number, index in enumerate(indices, 1):
        image, sample = annotated_image(dataset, index)
        path = out / f'{index:05}_{Path(sample.img_path).stem}.jpg'
        visualizer.add_datasample(path.stem, image, sample, draw_pred=False, out_file=str(path))
        print(f'[{number}/{len(indices)}] {path}: {len(sample.gt_instances)} objects')
    return len(indices)


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder for the pictures')
    parser.add_argument('--num', type=int, default=16,
                        help='how many images, evenly spread over the set (default: 16)')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train',
                        help='default: train')
    args = parser.parse_args()
    with one_line_errors():
        if args.num < 1:
            raise ValueError(f'--num must be 1 or more, but is {args.num}')
        cfg = load_config(args.config, args.cfg_options)
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        count = browse(cfg, args.split, args.num, args.out)
        print(f'{count} pictures in {args.out}')


if __name__ == '__main__':
    main()
