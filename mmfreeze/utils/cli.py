"""What the command-line tools share: arguments, and one clear line for whatever goes wrong."""
import argparse
import gc
import os
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, NoReturn, Optional

import torch.distributed
from mmengine.config import Config, DictAction


def config_parser(description: str) -> argparse.ArgumentParser:
    """Makes the parser of a tool that reads a config.

    Args:
        description (str): The tool's docstring.

    Returns:
        ArgumentParser: With ``config`` and ``--cfg-options``.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config, e.g. train_cfg.max_epochs=12')
    return parser


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what every run of MMEngine's Runner takes: its folder and its launcher."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and metrics '
                        '(default: work_dirs/<name of the config>)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='job launcher (default: none)')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help='set by some launchers')


def load_run_config(args: argparse.Namespace) -> Config:
    """Reads the config of a run from what ``config_parser`` and ``add_run_arguments`` parsed."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    cfg.launcher = args.launcher
    return cfg


def fail(message: str) -> NoReturn:
    """Ends the program with one line on stderr and exit status 1.

    Args:
        message (str): What is wrong, where, and what to do.
    """
    rank = os.environ.get('RANK')
    where = f'[rank {rank}] ' if rank not in (None, '0') else ''
    print(f'{where}error: {" ".join(message.split())}', file=sys.stderr)
    sys.exit(1)


@contextmanager
def one_line_errors(work_dir: Optional[Path] = None) -> Iterator[None]:
    """Reports an error raised inside as one line.

    Args:
        work_dir (Path, optional): An existing folder that takes the traceback, as
            ``error_rank0.log``. Defaults to None: the traceback is not kept.
    """
    try:
        yield
    except KeyboardInterrupt:
        goes_on = work_dir is not None and (work_dir / 'last_checkpoint').is_file()
        print('interrupted' + (f'; the same command with --resume goes on from the last checkpoint '
                               f'in {work_dir}' if goes_on else ''), file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        message = message or type(error).__name__
        if isinstance(error, (TypeError, AttributeError)):
            # Such messages seldom say by themselves what they are about.
            message = f'{type(error).__name__}: {message}'
        if work_dir is not None and work_dir.is_dir():
            path = work_dir / f'error_rank{os.environ.get("RANK", 0)}.log'
            with suppress(OSError):  # a full disk may be the very error
                path.write_text(traceback.format_exc())
                message += f' (traceback: {path})'
        fail(message)


@contextmanager
def leaving_process_group() -> Iterator[None]:
    """Leaves the process group at the end, if there is one: the interpreter's exit may abort it.

    The runner should be gone by then, so build it in a function of its own: its model's wrapper
    holds the group, whose threads end with it.
    """
    try:
        yield
    except Exception:  # the end of the process ends it; leaving would wait for the other ranks
        raise
    except BaseException:
        _leave_process_group()
        raise
    _leave_process_group()


def _leave_process_group() -> None:
    if torch.distributed.is_initialized():
        gc.collect()  # the runner and its loops know each other
        torch.distributed.destroy_process_group()


def require_checkpoint(path: str) -> None:
    """Checks that a checkpoint on this machine exists; addresses elsewhere are not looked at.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if '://' not in path and not Path(path).is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')


def load_config(path: str, options: Optional[dict] = None,
                work_dir: Optional[str] = None) -> Config:
    """Reads a config as MMDetection's tools do.

    Args:
        path (str): A config file.
        options (dict, optional): ``--cfg-options``. Defaults to None.
        work_dir (str, optional): ``--work-dir``. Defaults to None: the config's own, else
            ``work_dirs/<name of the config>``.

    Returns:
        Config: With ``work_dir`` set.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no config {path}; see configs/')
    cfg = Config.fromfile(path)
    if options is not None:
        cfg.merge_from_dict(options)
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(path).stem))
    return cfg
