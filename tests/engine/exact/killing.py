"""Kills its own process at a counted event, so that a test can choose the moment."""
import functools
import os
import signal

from mmengine.evaluator import Evaluator
from mmengine.optim import OptimWrapper

import mmfreeze.engine.exact.loops as loops
from mmfreeze.freezing import FeatureStore, LayerStack


class Events:
    """Counts what happens in a run, and dies at one of the events.

    Events are the beginning and the end of an optimizer step, a freeze, a batch that enters the
    frozen-feature store, each stage of writing a file, the moment after an iteration, and the end
    of a validation.

    Args:
        kill_at (int): The event to die at, from 1; 0 never dies.
    """

    def __init__(self, kill_at: int) -> None:
        self.count, self.kill_at = 0, kill_at

    def happen(self) -> None:
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner, name: str, worth=lambda result: True) -> None:
        """Lets an event happen before and after each call that is worth it."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def watched(*args, **kwargs):
            self.happen()
            result = function(*args, **kwargs)
            if worth(result):
                self.happen()
            return result

        setattr(owner, name, watched)


def watch_training(kill_at: int) -> Events:
    """Begins to count, from here to the end of the process."""
    events = Events(kill_at)
    events.watch(OptimWrapper, 'update_params')
    events.watch(LayerStack, 'freeze', worth=bool)
    events.watch(FeatureStore, 'put')
    events.watch(os, 'fsync')
    events.watch(os, 'replace')
    events.watch(Evaluator, 'evaluate')
    events.watch(loops, 'seed_generators')
    return events
