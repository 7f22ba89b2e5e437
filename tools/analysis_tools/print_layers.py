"""Prints the layers of a config's backbone that can be frozen: parameters, forward FLOPs, names.

Example: python tools/analysis_tools/print_layers.py configs/vitdet_afa_dior.py
"""
import sys
from typing import Optional, Sequence, Tuple

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from mmfreeze.compat.needed_ops import lacking_ops
from mmfreeze.compat.ops.refusal import user_of
from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.freezing.cost import forward_flops
from mmfreeze.utils.cli import config_parser, load_config, one_line_errors
from mmfreeze.utils.configs import COCO_SIZE, configured_layers, input_size


def describe(model: nn.Module, layers: Optional[Sequence[str]], size: Tuple[int, int]) -> str:
    """The table of layers, and what is to be said about it."""
    stack = build_stack(model, layers)
    total = sum(param.numel() for param in model.parameters())
    inside = sum(map(stack.numel, range(len(stack))))
    notes = [f'{len(stack)} layers hold {inside / 1e6:.1f} of {total / 1e6:.1f} M parameters']
    model.backbone.to('meta')
    model.eval()
    flops = None
    try:
        image = torch.zeros(1, 3, *size, device='meta')
        flops = forward_flops(stack, model, lambda: model.backbone(image))
        notes.append(f'forward GFLOPs for one image of 3 x {size[0]} x {size[1]}: '
                     f'{sum(flops) / 1e9:.1f} (a multiplication and an addition count as two)')
    except (NotImplementedError, RuntimeError) as error:
        notes.append(f'forward FLOPs are not known: {str(error).splitlines()[0]}')
    for kind, ops in lacking_ops(model).items():
        user = user_of(ops[0])
        notes.append(f'{kind} needs an mmcv that was compiled, for {", ".join(ops)}' +
                     (f' ({user})' if user else ''))
    return '\n'.join([stack.describe(flops), *notes])


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('--layers', nargs='+', metavar='PATTERN',
                        help='names of the layers, input first; * stands for a number (default: '
                        "those of the config's LayerFreezingHook, else what the backbone declares)")
    parser.add_argument('--size', nargs=2, type=int, metavar=('HEIGHT', 'WIDTH'),
                        help="image size for the FLOPs (default: the backbone's img_size, else "
                        f'{COCO_SIZE[0]} {COCO_SIZE[1]})')
    args = parser.parse_args()
    with one_line_errors():
        cfg = load_config(args.config, args.cfg_options)
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        model = MODELS.build(cfg.model)
        print(describe(model, args.layers or configured_layers(cfg), input_size(cfg, args.size)))


if __name__ == '__main__':
    main()
