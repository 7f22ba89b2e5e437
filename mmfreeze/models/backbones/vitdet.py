"""The plain ViT backbone of ViTDet."""
from collections import OrderedDict
from typing import List, Optional, Sequence, Tuple

import torch
import torch.utils.checkpoint as cp
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers import TransformerBlock, resize_position_table


@MODELS.register_module()
class ViTDetBackbone(BaseModule):
    """Plain vision transformer with attention mostly in windows.

    "Exploring Plain Vision Transformer Backbones for Object Detection" (arXiv 2203.16527). There
    is no class token and no norm behind the last block: the neck follows. Parameters bear the
    names of timm and segment-anything. The position table ``pos_embed`` has the shape (1, H, W, C)
    of segment-anything, made for ``img_size``; inputs of another size interpolate it. (detectron2
    keeps the table of the pre-training, 14 x 14, and interpolates that one in every forward; here
    it is interpolated once, when start weights are loaded, and trained at full size.)

    Args:
        img_size (int): Side of the square images, in pixels, for which the position tables are
            made. Defaults to 1024.
        patch_size (int): Side of a patch, in pixels; the stride of the output. Defaults to 16.
        in_channels (int): Number of image channels. Defaults to 3.
        embed_dim (int): Number of channels. Defaults to 768.
        depth (int): Number of blocks. Defaults to 12.
        num_heads (int): Number of attention heads. Defaults to 12.
        mlp_ratio (float): Hidden width of the MLPs, in multiples of ``embed_dim``. Defaults to 4.
        window_size (int): Side of the attention windows, in patches; 0 lets every block attend
            over the whole map. Defaults to 14.
        global_attn_indexes (Sequence[int]): Blocks that attend over the whole map, from 0.
            Defaults to (2, 5, 8, 11).
        use_abs_pos (bool): Whether to add an absolute position table. Defaults to True.
        use_rel_pos (bool): Whether attention uses relative positions. Defaults to True.
        drop_path_rate (float): Stochastic depth of the last block; it rises linearly from 0 at
            the first. Defaults to 0.
        with_cp (bool): Whether blocks that train are computed a second time in the backward pass
            instead of keeping their activations (non-reentrant checkpointing; random numbers are
            drawn alike). Frozen blocks keep nothing anyway and run once. Defaults to False.
        compile_blocks (bool): Whether ``torch.compile`` compiles each block by itself. Blocks of
            a kind (with windows, without) share their graphs: training costs three of a kind
            (frozen, the first that trains, the others) however often freezing goes on, and one
            more where stochastic depth exempts the first block; validation costs two of a kind.
            They hold for one input size: let the pipeline pad to one (``PadToSize``). Defaults to
            False.
        init_cfg (dict, optional): Start weights, such as ``dict(type='PretrainedViT', ...)``.

    Raises:
        ValueError: The sizes do not fit each other.
    """

    def __init__(self,
                 img_size: int = 1024,
                 patch_size: int = 16,
                 in_channels: int = 3,
                 embed_dim: int = 768,
                 depth: int = 12,
                 num_heads: int = 12,
                 mlp_ratio: float = 4.,
                 window_size: int = 14,
                 global_attn_indexes: Sequence[int] = (2, 5, 8, 11),
                 use_abs_pos: bool = True,
                 use_rel_pos: bool = True,
                 drop_path_rate: float = 0.,
                 with_cp: bool = False,
                 compile_blocks: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if img_size % patch_size:
            raise ValueError(f'img_size={img_size} is not a multiple of patch_size={patch_size}')
        if embed_dim % num_heads:
            raise ValueError(f'embed_dim={embed_dim} is not a multiple of num_heads={num_heads}')
        outside = [i for i in global_attn_indexes if not 0 <= i < depth]
        if outside:
            raise ValueError(f'global_attn_indexes: {outside} are not among the {depth} blocks, '
                             f'which are numbered from 0 to {depth - 1}')
        grid = img_size // patch_size
        self.patch_size = patch_size
        self.patch_embed = nn.Sequential(OrderedDict(
            proj=nn.Conv2d(in_channels, embed_dim, patch_size, stride=patch_size)))
        self.pos_embed = (
            nn.Parameter(torch.zeros(1, grid, grid, embed_dim)) if use_abs_pos else None)
        windows = [0 if i in global_attn_indexes else window_size for i in range(depth)]
        self.blocks = nn.ModuleList(
            TransformerBlock(
                embed_dim,
                num_heads,
                mlp_ratio,
                window_size=window,
                table_size=(window or grid) if use_rel_pos else None,
                drop_path=drop_path_rate * i / max(depth - 1, 1))
            for i, window in enumerate(windows))
        self.with_cp = with_cp
        self._init_parameters()
        if compile_blocks:
            self._compile_blocks()

    def _init_parameters(self) -> None:
        """Sets what a ViT starts from; relative positions start from zero."""
        if self.pos_embed is not None:
            nn.init.trunc_normal_(self.pos_embed, std=.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=.02)
                nn.init.zeros_(module.bias)

    def _compile_blocks(self) -> None:
        # Training and validation together take more than the 8 graphs that torch allows a function
        # by default, beyond which it warns and runs blocks uncompiled.
        dynamo = torch._dynamo.config
        dynamo.recompile_limit = max(dynamo.recompile_limit, 32)
        for block in self.blocks:
            # In place: names in the state dict stay. Not dynamic: tracing windows for any size
            # takes minutes.
            block.compile(dynamic=False)

    def ordered_layers(self) -> List[Tuple[str, ...]]:
        """Declares the layers in the order of the forward pass.

        Freezing and layer-wise learning rates both read this declaration.

        Returns:
            list[tuple[str, ...]]: For each layer, input first, the dotted names of its submodules
            and parameters. The embeddings belong to the first block: as long as they train, the
            backward pass goes through all blocks.
        """
        stem = ('patch_embed',) if self.pos_embed is None else ('patch_embed', 'pos_embed')
        blocks = [(f'blocks.{i}',) for i in range(len(self.blocks))]
        return [stem + blocks[0], *blocks[1:]]

    def forward(self, x: Tensor) -> Tuple[Tensor]:
        """Computes the feature map.

        Args:
            x (Tensor): Images of shape (B, in_channels, H, W).

        Returns:
            tuple[Tensor]: One map of shape (B, embed_dim, H / patch_size, W / patch_size).

        Raises:
            ValueError: H or W is not a multiple of the patch size.
        """
        H, W = x.shape[2:]
        if H % self.patch_size or W % self.patch_size:
            raise ValueError(
                f'the input of {H} x {W} pixels does not divide into patches of {self.patch_size}: '
                f'set model.data_preprocessor.pad_size_divisor to a multiple of {self.patch_size}')
        # (B, H / patch, W / patch, C); channels last in memory too, as linear layers and norms want
        x = self.patch_embed(x).permute(0, 2, 3, 1).contiguous()
        if self.pos_embed is not None:
            x = x + resize_position_table(self.pos_embed, x.shape[1:3])
        for block in self.blocks:
            if self.with_cp and _records(block, x):
                x = cp.checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return (x.permute(0, 3, 1, 2).contiguous(),)


def _records(block: nn.Module, x: Tensor) -> bool:
    """Whether autograd would keep activations of a block: not of frozen ones, nor in validation.

    The first block that trains behind a frozen prefix gets an input that needs no gradient.
    """
    return torch.is_grad_enabled() and (
        x.requires_grad or any(p.requires_grad for p in block.parameters()))
