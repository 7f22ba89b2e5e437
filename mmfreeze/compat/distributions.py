"""Tells a missing or doubled OpenMMLab distribution before anything of it is imported."""
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import List

# Import name -> the distributions that install it. The first of each is what the extra ``mm``
# installs; all of them own the same files, so that two at once overwrite each other.
_DISTRIBUTIONS = {
    'mmengine': ('onedl-mmengine', 'mmengine', 'mmengine-lite'),
    'mmcv': ('onedl-mmcv', 'mmcv', 'mmcv-lite', 'mmcv-full'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
}


def check_distributions() -> None:
    """Checks that mmengine, mmcv and mmdet are installed, each by one distribution only.

    Raises:
        RuntimeError: One of them is installed by two distributions. (Not an ``ImportError``, which
            mmengine's ``custom_imports`` would replace by an error of its own.)
        ImportError: One of them is not installed, or only its metadata is left.
    """
    installed = {module: _installed(names) for module, names in _DISTRIBUTIONS.items()}
    doubled = [module for module, names in installed.items() if len(names) > 1]
    missing = [module for module in installed if find_spec(module) is None]
    if not doubled and not missing:
        return
    # The extra installs the first distribution of every module, so any other one has to go first;
    # of a broken module all have to, or pip would take the leftovers for an installation.
    remove = [
        name for module, names in installed.items() for name in names
        if module in doubled + missing or name != _DISTRIBUTIONS[module][0]
    ]
    way_out = "pip install -e '.[mm]' in mmfreeze's folder"
    if remove:
        way_out = f'pip uninstall -y {" ".join(remove)} && {way_out}'
    if doubled:
        twins = '; '.join(f'{module} by {" and ".join(installed[module])}' for module in doubled)
        raise RuntimeError('Installed twice, by distributions that overwrite each other\'s files: '
                           f'{twins}. Run: {way_out}')
    raise ImportError(f'mmfreeze needs {", ".join(missing)}, not installed here. Run: {way_out}')


def _installed(names: tuple) -> List[str]:
    found = []
    for name in names:
        try:
            distribution(name)
        except PackageNotFoundError:
            continue
        found.append(name)
    return found
