"""What it takes to resume a run exactly: the same bits as if it had never stopped."""
from .checkpoint_hook import CrashSafeCheckpointHook
from .checkpoints import find_last_whole_checkpoint, require_whole_checkpoint
from .file_backend import CrashSafeBackend
from .loops import ExactEpochBasedTrainLoop, ExactIterBasedTrainLoop
from .seeded_batch_sampler import SeededBatchSampler
from .seeded_dataset import SeededDataset

__all__ = ['CrashSafeBackend', 'CrashSafeCheckpointHook', 'ExactEpochBasedTrainLoop',
           'ExactIterBasedTrainLoop', 'SeededBatchSampler', 'SeededDataset',
           'find_last_whole_checkpoint', 'require_whole_checkpoint']
