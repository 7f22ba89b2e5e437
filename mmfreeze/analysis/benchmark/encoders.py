"""The backbone of ViTDet against segment-anything's encoder: time, memory."""
import gc
from functools import partial
from statistics import median
from typing import Any, Callable, Dict, List, Sequence

import torch
from torch import Tensor, nn

from mmfreeze.models.backbones import ViTDetBackbone
from mmfreeze.models.layers import choose_kernel

from .measure import SavedBytes, spread
from .stopwatch import PASSES, Stopwatch


def segment_anything_twin(backbone: ViTDetBackbone, img_size: int, **sizes: Any) -> nn.Module:
    """segment-anything's encoder without its neck, with the weights of a backbone.

    Args:
        backbone (ViTDetBackbone): With relative positions.
        img_size (int): Its argument.
        sizes: More of its arguments, where they are not the default.

    Returns:
        Module: Of images of that size it makes the map that the backbone makes.

    Raises:
        ModuleNotFoundError: segment-anything is not installed.
    """
    try:
        from segment_anything.modeling import ImageEncoderViT
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'segment-anything, the encoder to compare with, is not installed: '
            'pip install segment-anything') from error
    sizes = dict(dict(window_size=14, global_attn_indexes=(2, 5, 8, 11)), **sizes)
    encoder = ImageEncoderViT(img_size=img_size, norm_layer=partial(nn.LayerNorm, eps=1e-6),
                              use_rel_pos=True, **sizes)
    encoder.neck = nn.Identity()
    encoder.load_state_dict({name.replace('mlp.fc', 'mlp.lin'): value
                             for name, value in backbone.state_dict().items()})
    return encoder


def measure_encoders(sizes: Sequence[int], embed_dim: int, num_heads: int, images: int,
                     repeats: int, device: torch.device, bfloat16: bool) -> List[Dict[str, Any]]:
    """Measures forward and backward pass of both at several image sizes.

    Each repeat runs one right after the other, in turning order, on the same weights, image and
    gradient of the map. The 12 blocks attend in windows of 14, and every third one globally.

    Args:
        sizes (Sequence[int]): Sides of the square images, in pixels: multiples of 16.
        embed_dim (int): Number of channels.
        num_heads (int): Number of heads.
        images (int): Images in the batch.
        repeats (int): Number of repeats.
        device (torch.device): Where.
        bfloat16 (bool): Whether under autocast to bfloat16, instead of in float32.

    Returns:
        list[dict]: For each size ``size``; ``kernels`` (of windows and of global blocks);
        ``ours`` and ``theirs``, each with ``iteration`` in seconds (median and quartiles),
        ``forward`` and ``backward`` (medians) and ``memory`` in bytes; ``faster`` (their time over
        ours beside it, with median and quartiles) and ``smaller`` (their memory over ours).
    """
    return [_measure_size(size, dict(embed_dim=embed_dim, num_heads=num_heads), images, repeats,
                          device, bfloat16) for size in sizes]


def _measure_size(size: int, widths: Dict[str, int], images: int, repeats: int,
                  device: torch.device, bfloat16: bool) -> Dict[str, Any]:
    torch.manual_seed(0)
    backbone = ViTDetBackbone(img_size=size, **widths)
    for name, param in backbone.named_parameters():
        if 'rel_pos' in name:  # these start from zero
            nn.init.normal_(param, std=.02)
    twin = segment_anything_twin(backbone, size, **widths)
    image = torch.randn(images, 3, size, size, device=device)
    grad = torch.randn(images, widths['embed_dim'], size // 16, size // 16, device=device)
    runs = {name: _Run(model.to(device), image, grad, bfloat16)
            for name, model in (('ours', backbone), ('theirs', twin))}
    samples: Dict[str, List[Dict[str, float]]] = {name: [] for name in runs}
    for run in runs.values():  # the first pass allocates workspaces, which are no encoder's own
        run.time()
    memory = {name: run.memory() for name, run in runs.items()}
    for repeat in range(repeats):
        for name in list(runs) if repeat % 2 else reversed(runs):
            samples[name].append(runs[name].time())
    kernels = {name: choose_kernel(device.type, tokens)
               for name, tokens in (('windows', 14**2), ('global', (size // 16)**2))}
    return dict(
        size=size, kernels=kernels,
        **{name: dict(iteration=spread([sample['iteration'] for sample in samples[name]]),
                      **{key: median(sample[key] for sample in samples[name]) for key in PASSES},
                      memory=memory[name]) for name in runs},
        faster=spread([theirs['iteration'] / ours['iteration']
                        for ours, theirs in zip(samples['ours'], samples['theirs'])]),
        smaller=memory['theirs'] / memory['ours'])


class _Run:
    """Forward and backward pass of an encoder."""

    def __init__(self, model: nn.Module, image: Tensor, grad: Tensor, bfloat16: bool) -> None:
        self.model, self.image, self.grad, self.bfloat16 = model, image, grad, bfloat16
        self.watch = Stopwatch(image.device)

    def time(self) -> Dict[str, float]:
        """Seconds of the passes and of both, the ``iteration``."""
        gc.collect()
        gc.disable()
        try:
            self.watch.start()
            self._iterate(self.watch.mark)
            return self.watch.stop()
        finally:
            gc.enable()

    def memory(self) -> int:
        """Bytes: the peak of a CUDA device above what is there before; else saved for backward."""
        device = self.image.device
        if device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            self._iterate()
            return torch.cuda.max_memory_allocated(device) - before
        saved = SavedBytes(self.model)
        with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda tensor: tensor):
            self._iterate()
        return saved.total

    def _iterate(self, mark: Callable[[str], Any] = lambda _: None) -> None:
        with torch.autocast(self.image.device.type, torch.bfloat16, enabled=self.bfloat16):
            out = self.model(self.image)
        out = out[0] if isinstance(out, tuple) else out
        mark('forward')
        out.backward(self.grad.to(out.dtype))
        mark('backward')
        self.model.zero_grad()
