"""How long a training is."""
from dataclasses import dataclass
from typing import Optional

from mmengine.config import Config

# Iterations of an epoch where the data is absent. Shares of a run hardly depend on it.
ASSUMED = 1000


@dataclass(frozen=True)
class Length:
    """How long a training is.

    Args:
        max_iters (int): Its iterations.
        iterations (int): Those of a pass through the data, the last one of which may be partly
            filled.
        samples (int): Images of a pass.
        by_epoch (bool): Whether the loop counts in passes, its epochs.
    """
    max_iters: int
    iterations: int
    samples: int
    by_epoch: bool = True

    @property
    def unit(self) -> int:
        """Iterations in which the loop counts, see :class:`~mmfreeze.freezing.Clock`."""
        return self.iterations if self.by_epoch else 1

    @property
    def passes(self) -> int:
        """Passes through the data, the last of which may end early."""
        return -(-self.max_iters // self.iterations)


def length_of(cfg: Config, samples: Optional[int], iterations: Optional[int],
              batch_size: int) -> Length:
    """Reads from a config how long its training is.

    Args:
        cfg (Config): With ``train_cfg``.
        samples (int, optional): Images of the training set; None: :data:`ASSUMED` batches.
        iterations (int, optional): Of a pass through it; likewise.
        batch_size (int): Images of an iteration.

    Returns:
        Length: The length.

    Raises:
        ValueError: The config does not say.
    """
    if samples is None:
        samples, iterations = ASSUMED * batch_size, ASSUMED
    # What ``drop_last`` leaves out is not trained on; a last batch may be partly filled.
    samples = min(samples, iterations * batch_size)
    epochs, iters = (cfg.train_cfg.get(key) for key in ('max_epochs', 'max_iters'))
    if epochs is None and iters is None:
        raise ValueError('train_cfg has neither max_epochs nor max_iters, so how long the training '
                         'is cannot be known')
    if epochs is None:
        return Length(iters, iterations, samples, by_epoch=False)
    return Length(epochs * iterations, iterations, samples)
