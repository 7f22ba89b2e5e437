"""Loader workers that let a run end by itself."""
import os
import signal
import threading

from mmengine.registry import FUNCTIONS


@FUNCTIONS.register_module()
def outlive_sigterm(worker_id: int) -> None:
    """Makes a worker obey a SIGTERM of its own run only; a ``worker_init_fn``.

    Schedulers send SIGTERM to every process of a job. A run whose workers end of it would die of
    that in the middle of an iteration, before it can save.

    Args:
        worker_id (int): Number of the worker.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_the_run, daemon=True).start()


def _end_with_the_run() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
