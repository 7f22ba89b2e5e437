"""The names under which other projects keep the tensors of a plain ViT."""
import math
import re
from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor


class _Spelling(NamedTuple):
    """How one family of projects spells the names; renames lead to our own ones."""
    title: str
    sign: str  # occurs in its names only
    renames: Sequence[Tuple[str, str]]


# The first whose sign occurs is taken, so the last one, which is our own, takes the rest.
_SPELLINGS = (
    _Spelling('mmpretrain', r'(^|\.)patch_embed\.projection\.', (
        (r'^patch_embed\.projection\.', r'patch_embed.proj.'),
        (r'^layers\.(\d+)\.ln([12])\.', r'blocks.\1.norm\2.'),
        (r'^layers\.(\d+)\.ffn\.layers\.0\.0\.', r'blocks.\1.mlp.fc1.'),
        (r'^layers\.(\d+)\.ffn\.layers\.1\.', r'blocks.\1.mlp.fc2.'),
        (r'^layers\.(\d+)\.', r'blocks.\1.'))),
    _Spelling('segment-anything', r'\.mlp\.lin1\.', (
        (r'^blocks\.(\d+)\.mlp\.lin([12])\.', r'blocks.\1.mlp.fc\2.'),)),
    _Spelling('timm', r'', ()),
)
_ANCHOR = re.compile(r'(.*\.|)patch_embed\.proj(?:ection)?\.weight')
_LAYER_SCALE = re.compile(r'(ls[12]\.gamma|gamma_[12]|attn\.gamma1\.weight|ffn\.gamma2\.weight)')
_SPLIT_QKV = re.compile(r'(.*\.attn)\.([qkv])(?:_proj\.|\.|_)(weight|bias)')
_IN_BLOCK = re.compile(r'(norm1|norm2|attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)\.(weight|bias)'
                       r'|attn\.rel_pos_[hw]')


class OwnNames(NamedTuple):
    """A file's tensors under the names of :class:`ViTDetBackbone`.

    Attributes:
        tensors (dict[str, Tensor]): Patch embedding, blocks, and the position table in the shape
            (1, H, W, C).
        unused (list[str]): Names in the file of what is no part of a plain ViT backbone: class
            token, last norm, heads, decoders, necks.
        naming (str): What the names in the file were recognised as.
    """
    tensors: Dict[str, Tensor]
    unused: List[str]
    naming: str


def to_own_names(weights: Dict[str, Tensor]) -> OwnNames:
    """Brings the tensors of a plain ViT to our own names; recognises theirs by themselves.

    =============================  ==========================================================
    timm, DeiT, MAE                ``blocks.0.norm1.weight``, ``blocks.0.mlp.fc1.weight``
    detectron2 ViTDet              ``backbone.net.blocks.0.norm1.weight``, ...
    mmdetection, projects/ViTDet   ``backbone.blocks.0.norm1.weight``, ...; mmfreeze itself too
    segment-anything               ``image_encoder.blocks.0.mlp.lin1.weight``, ...
    mmpretrain (and older ViTDet   ``backbone.layers.0.ln1.weight``,
    of mmdetection)                ``backbone.layers.0.ffn.layers.0.0.weight``, ...
    =============================  ==========================================================

    The patch embedding tells where the ViT is, whatever the prefix. Query, key and value may be
    one tensor (``attn.qkv.weight``) or three (``attn.q_proj.weight`` or ``attn.q.weight``, and
    ``attn.q_bias``); of three biases the absent ones are zero, as the key's is in BEiT and EVA.
    Position tables lose the rows of class and distillation tokens.

    Args:
        weights (dict[str, Tensor]): Tensors by their names in the file.

    Returns:
        OwnNames: The backbone's tensors and what else there is.

    Raises:
        ValueError: There is no plain ViT, there are several, or its blocks compute something else
            than ours (LayerScale, gated MLPs, norms of queries and keys).
    """
    prefix = _find_prefix(weights)
    spelling = next(s for s in _SPELLINGS if any(re.search(s.sign, name) for name in weights))
    tensors, unused = {}, []
    for name, tensor in weights.items():
        own = name[len(prefix):]
        for pattern, replacement in spelling.renames:
            own = re.sub(pattern, replacement, own)
        if name.startswith(prefix) and own.startswith(('patch_embed.', 'pos_embed', 'blocks.')):
            tensors[own] = tensor
        else:
            unused.append(name)
    tensors = _fuse_qkv(tensors)
    _refuse_other_blocks(tensors)
    if 'pos_embed' in tensors:
        tensors['pos_embed'] = _position_grid(tensors['pos_embed'])
    where = f' under {prefix[:-1]}' if prefix else ''
    return OwnNames(tensors, unused, f'names of {spelling.title}{where}')


def grouped(names: Sequence[str]) -> str:
    """A line for many names: numbers become ``*``, equal results are counted."""
    counts = Counter(re.sub(r'\b\d+\b', '*', name) for name in names)
    return ', '.join(
        name if count == 1 else f'{name} ({count})' for name, count in counts.items()) or 'none'


def _find_prefix(weights: Dict[str, Tensor]) -> str:
    found = [match[1] for name in weights if (match := _ANCHOR.fullmatch(name))]
    if not found:
        raise ValueError('no plain ViT in it: expected a tensor ...patch_embed.proj.weight or '
                         f'...patch_embed.projection.weight; the file has {grouped(weights)}')
    if len(found) > 1:
        raise ValueError(f'{len(found)} ViTs in it, under {", ".join(map(repr, found))}; keep one '
                         'of them in the file')
    return found[0]


def _fuse_qkv(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    fused: Dict[str, Tensor] = {}
    parts: Dict[str, Dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _SPLIT_QKV.fullmatch(name)
        if match is None:
            fused[name] = tensor
        else:
            parts.setdefault(f'{match[1]}.qkv.{match[3]}', {})[match[2]] = tensor
    for name, part in parts.items():
        if name in fused or (name.endswith('weight') and len(part) < 3):
            raise ValueError(f'{name}: the file has {", ".join(sorted(part))} of it alone; '
                             'expected all of q, k and v, or one tensor for the three')
        zeros = torch.zeros_like(next(iter(part.values())))
        fused[name] = torch.cat([part.get(key, zeros) for key in 'qkv'])
    return fused


def _refuse_other_blocks(tensors: Dict[str, Tensor]) -> None:
    inside = {name: name.split('.', 2)[2] for name in tensors if re.match(r'blocks\.\d+\.', name)}
    scales = [name for name, rest in inside.items() if _LAYER_SCALE.fullmatch(rest)]
    if scales:
        raise ValueError(
            f'LayerScale ({grouped(scales)}): the network multiplies what each block adds by these '
            'learned factors, the plain ViT of ViTDet has none, and without them its features '
            'would not be those that were learned; take weights of a ViT without LayerScale')
    others = [name for name, rest in inside.items() if not _IN_BLOCK.fullmatch(rest)]
    if others or not inside:
        raise ValueError(f'not the blocks of a plain ViT: {grouped(others or tensors)}; expected '
                         'blocks of norm1, attn, norm2 and an mlp of two layers')


def _position_grid(table: Tensor) -> Tensor:
    """Brings a table (1, tokens + N, C) to (1, side, side, C)."""
    if table.ndim == 4:
        return table
    grid = _without_tokens(table) if table.ndim == 3 else None
    if grid is None:
        raise ValueError(f'pos_embed has the shape {tuple(table.shape)} in the file; expected '
                         '(1, H, W, C), or (1, N, C) where N, or N without one or two tokens, is '
                         'a square number')
    return grid


def _without_tokens(table: Tensor) -> Optional[Tensor]:
    for num_tokens in range(3):  # none, class token, class and distillation token
        side = math.isqrt(max(table.shape[1] - num_tokens, 0))
        if side and side * side == table.shape[1] - num_tokens:
            return table[:, num_tokens:].unflatten(1, (side, side))
    return None
