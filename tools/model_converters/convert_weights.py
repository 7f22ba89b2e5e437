"""Writes the weights of a plain ViT under mmfreeze's own names.

Reads files of timm, DeiT, MAE, detectron2 ViTDet, segment-anything, mmpretrain and mmdetection's
ViTDet, recognised by the names of their tensors. Training reads all of them by itself, except
pickles (.pkl, and .pth with more than tensors in them): those can run code and are converted here,
once, with --trust-pickle.

Example: python tools/model_converters/convert_weights.py in.pkl out.safetensors --trust-pickle
"""
import argparse
import sys
from pathlib import Path

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.models.weights import read_weights, to_own_names, write_weights
from mmfreeze.models.weights.names import grouped
from mmfreeze.utils.cli import one_line_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, metavar='IN',
                        help='.pth, .pt, .npz, .safetensors or .pkl file')
    parser.add_argument('target', type=Path, metavar='OUT', help='.safetensors or .pth file')
    parser.add_argument('--trust-pickle', action='store_true',
                        help='unpickle IN, which runs whatever code it holds')
    args = parser.parse_args()
    with one_line_errors():
        if not args.source.is_file():
            raise FileNotFoundError(f'there is no file {args.source}')
        if args.target.exists():
            raise FileExistsError(f'{args.target} exists already; remove it or choose another name')
        try:
            tensors, unused, naming = to_own_names(read_weights(args.source, args.trust_pickle))
        except ValueError as error:
            raise ValueError(f'{args.source}: {error}') from error
        write_weights(args.target, tensors)
    print(f'{args.source}: {naming}\n{args.target}: {len(tensors)} tensors, '
          f'{sum(tensor.numel() for tensor in tensors.values()):,} numbers\n'
          f'left out: {grouped(unused)}')


if __name__ == '__main__':
    main()
