"""Times of the parts of an iteration."""
import time
from typing import Dict, List, Tuple, Union

import torch
from mmengine.optim import OptimWrapper

PASSES = ('forward', 'backward')
PHASES = (*PASSES, 'step')


class Stopwatch:
    """Times an iteration and its phases; on a CUDA device by events, which wait for nothing.

    What ``train_step`` does before the backward pass counts as forward (preprocessing, losses,
    parsing them), what comes behind it as step (signals, clipping, optimizer, setting gradients
    to None).

    Args:
        device (torch.device): Where the model is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._marks: List[Tuple[str, Union[float, torch.cuda.Event]]] = []

    def watch(self, wrapper: OptimWrapper) -> None:
        """Makes a wrapper mark where its backward pass begins and ends."""
        backward = wrapper.backward

        def marked_backward(*args, **kwargs) -> None:
            self.mark('forward')
            backward(*args, **kwargs)
            self.mark('backward')

        wrapper.backward = marked_backward

    def start(self) -> None:
        """Begins an iteration, when the device has done all that came before."""
        self._synchronize()
        self._marks = []
        self.mark('start')

    def mark(self, phase: str) -> None:
        """Ends a phase."""
        now: Union[float, torch.cuda.Event] = time.perf_counter()
        if self.device.type == 'cuda':
            now = torch.cuda.Event(enable_timing=True)
            now.record()
        self._marks.append((phase, now))

    def stop(self) -> Dict[str, float]:
        """Ends the iteration, when the device has done it.

        Returns:
            dict[str, float]: Seconds of each phase that was marked and of the ``'iteration'``.
        """
        self.mark('step')
        self._synchronize()
        times = [mark for _, mark in self._marks]
        seconds = {phase: self._between(before, after) for before, (phase, after)
                   in zip(times, self._marks[1:])}
        return dict(seconds, iteration=self._between(times[0], times[-1]))

    def _synchronize(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)

    def _between(self, before, after) -> float:
        if self.device.type == 'cuda':
            return before.elapsed_time(after) / 1e3
        return after - before
