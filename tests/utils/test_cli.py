"""What the command-line tools share."""
import gc
import weakref

import torch.distributed as dist

from mmfreeze.utils.cli import leaving_process_group


class Runner:
    def __init__(self):
        self.itself = self


def train():
    return weakref.ref(Runner())


def test_the_runner_is_gone_before_the_process_group(tmp_path):
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    gc.disable()
    try:
        with leaving_process_group():
            runner = train()
            assert runner() is not None
        assert runner() is None
        assert not dist.is_initialized()
    finally:
        gc.enable()
