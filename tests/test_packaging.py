"""What an installation requires, and that it leaves an installed MMDetection alone."""
import ast
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
MM_MODULES = ('mmengine', 'mmcv', 'mmdet')
# Import names that differ from the name of their distribution.
DISTRIBUTIONS = {
    'PIL': 'pillow', 'mmdet': 'onedl-mmdetection', 'mmcv': 'onedl-mmcv',
    'mmengine': 'onedl-mmengine', 'mmpretrain': 'onedl-mmpretrain'
}


def add_distribution(site, name, version):
    """Puts a distribution with one package of the same name into a site-packages folder."""
    package, metadata = site / name, site / f'{name}-{version}.dist-info'
    package.mkdir()
    (package / '__init__.py').write_text(f'__version__ = {version!r}\n')
    metadata.mkdir()
    (metadata / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
    (metadata / 'INSTALLER').write_text('pip\n')
    (metadata / 'RECORD').write_text(
        f'{name}/__init__.py,,\n' +
        ''.join(f'{metadata.name}/{file},,\n' for file in ('METADATA', 'INSTALLER', 'RECORD')))


def hashes(site):
    return {
        str(file.relative_to(site)): hashlib.sha256(file.read_bytes()).hexdigest()
        for module in MM_MODULES for folder in site.glob(f'{module}*')
        for file in folder.rglob('*') if '__pycache__' not in file.parts
    }


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """Installs a copy of this project where upstream mmengine, mmcv and mmdet are installed.

    All of it offline: the other requirements are there under their names only, and the build
    tools are those of this environment. Without an index pip fails at any requirement beyond.

    Returns:
        Requirements of the installation, hashes of upstream's files before and after it.
    """
    folder = tmp_path_factory.mktemp('packaging')
    project = folder / 'project'
    shutil.copytree(ROOT / 'mmfreeze', project / 'mmfreeze')
    for name in ('setup.py', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, project)

    venv.create(folder / 'venv', with_pip=False)
    python = folder / 'venv' / 'bin' / 'python'
    site = next((folder / 'venv').glob('lib/python*/site-packages'))
    for name, version in zip(MM_MODULES, ('0.10.7', '2.1.0', '3.3.0')):
        add_distribution(site, name, version)
    for name in ('defusedxml', 'faster_coco_eval', 'jinja2', 'matplotlib', 'numpy', 'pillow',
                 'safetensors', 'scipy', 'torch', 'torchvision'):
        add_distribution(site, name, '999.0')

    tools = folder / 'tools'
    tools.mkdir()
    here = Path(importlib.metadata.distribution('setuptools').locate_file(''))
    for pattern in ('setuptools*', 'pkg_resources', '_distutils_hack'):
        for path in here.glob(pattern):
            (tools / path.name).symlink_to(path)

    before = hashes(site)
    environment = {name: value for name, value in os.environ.items() if not name.startswith('PIP_')}
    environment.update(PIP_CONFIG_FILE=os.devnull, PYTHONPATH=str(tools))
    run = subprocess.run(
        [sys.executable, '-m', 'pip', '--python', python, 'install', '--quiet', '--no-index',
         '--no-build-isolation', '--editable', project],
        env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    code = "import importlib.metadata as m, json; print(json.dumps(m.requires('mmfreeze')))"
    run = subprocess.run([python, '-c', code], capture_output=True, text=True, check=True)
    return [Requirement(text) for text in json.loads(run.stdout)], before, hashes(site)


def names(requirements):
    return {canonicalize_name(requirement.name) for requirement in requirements}


def test_upstream_files_stay(installed):
    _, before, after = installed
    assert len(before) == 4 * len(MM_MODULES)
    assert after == before


def test_no_mm_package_without_the_extra(installed):
    requirements = installed[0]
    plain = [r for r in requirements if not r.marker or r.marker.evaluate({'extra': ''})]
    assert {'torch', 'torchvision'} <= names(plain)
    assert not [name for name in names(plain) if name.startswith(('mm', 'onedl', 'openmim'))]
    extra = [r for r in requirements if r.marker and r.marker.evaluate({'extra': 'mm'})]
    assert names(extra) - names(plain) == {'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection'}
    extra = [r for r in requirements if r.marker and r.marker.evaluate({'extra': 'cls'})]
    assert names(extra) - names(plain) == {'onedl-mmpretrain'}


def test_every_import_is_required(installed):
    required = names(installed[0])
    imported = {}
    for folder in ('mmfreeze', 'tools', 'tests'):
        for file in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    modules = [node.module]
                else:
                    continue
                imported.update({module.split('.')[0]: file for module in modules})
    own = {'mmfreeze'} | {path.stem for path in (ROOT / 'tests').rglob('*.py')}
    missing = {
        name: str(file.relative_to(ROOT)) for name, file in imported.items()
        if name not in sys.stdlib_module_names and name not in own
        and canonicalize_name(DISTRIBUTIONS.get(name, name)) not in required
    }
    assert not missing


def test_every_folder_with_code_is_a_package():
    """``find_packages`` leaves folders without an ``__init__.py`` out without a word."""
    folders = {file.parent for file in (ROOT / 'mmfreeze').rglob('*.py')}
    assert not [folder for folder in folders if not (folder / '__init__.py').exists()]


def test_files_that_the_code_reads_are_packaged():
    """``find_packages`` takes no other files along."""
    setup = ast.walk(ast.parse((ROOT / 'setup.py').read_text()))
    data = next(ast.literal_eval(node.value) for node in setup
                if isinstance(node, ast.keyword) and node.arg == 'package_data')
    packaged = {file for package, patterns in data.items() for pattern in patterns
                for file in (ROOT / package.replace('.', '/')).glob(pattern)}
    assert packaged == {file for file in (ROOT / 'mmfreeze').rglob('*')
                        if file.is_file() and file.suffix not in ('.py', '.pyc', '.md')}


def pins():
    """Returns version by name from the requirement files, each line of which has to be a pin."""
    pinned = {}
    for file in (ROOT / 'requirements').glob('*.txt'):
        for line in file.read_text().splitlines():
            if not line.startswith('#'):
                name, version = re.fullmatch(r'([\w.-]+)==([\w.]+)', line).groups()
                assert canonicalize_name(name) not in pinned, f'{name} is pinned twice'
                pinned[canonicalize_name(name)] = version
    return pinned


def test_pins_satisfy_the_requirements(installed):
    pinned = pins()
    unfit = [
        str(requirement) for requirement in installed[0]
        if not requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])
    ]
    assert not unfit


def test_pins_are_complete():
    """What a pinned package requires is pinned too, apart from torch's CUDA libraries."""
    pinned = pins()
    for name in pinned:
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, requires):
            marker = requirement.marker
            if marker and not marker.evaluate({'extra': ''}):
                continue
            if name == 'torch' and marker and 'platform_system' in str(marker):
                continue
            version = pinned.get(canonicalize_name(requirement.name))
            assert version and requirement.specifier.contains(version, prereleases=True), (
                f'{name} requires {requirement}, pinned is {version}')
