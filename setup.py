"""Packaging of mmfreeze."""
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
VERSION = {}
exec((ROOT / 'mmfreeze' / 'version.py').read_text(encoding='utf-8'), VERSION)

setup(
    name='mmfreeze',
    version=VERSION['__version__'],
    description='Freezes the settled layers of a detector backbone while it trains (MMDetection)',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='object detection, layer freezing, ViTDet, MMDetection, aerial images',
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        # 3.11 is what the tests run on; 3.10 and 3.12 are untried.
        'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['mmfreeze', 'mmfreeze.*']),
    package_data={'mmfreeze.analysis.report': ['*.j2']},
    # No OpenMMLab package here: the maintained forks own the same files as mmengine, mmcv and
    # mmdet, so requiring them would overwrite an installation of those. Hence the extra.
    install_requires=[
        'defusedxml',
        'faster-coco-eval>=1.6',
        'jinja2',
        'matplotlib',
        'numpy',
        'pillow',
        'safetensors',
        'scipy',
        'torch>=2.6',
        'torchvision',
    ],
    extras_require={
        'mm': [
            'onedl-mmengine>=0.10.12',
            'onedl-mmcv>=2.3.6',
            'onedl-mmdetection>=3.5.1',
        ],
        'cls': [
            'onedl-mmpretrain>=1.3.6',
        ],
        'tests': [
            'hypothesis',
            'onedl-mmpretrain>=1.3.6',
            'packaging',
            'pycocotools',
            'pytest',
            'pytest-xdist',
            'segment-anything',
            'setuptools>=70.1',  # builds wheels by itself
        ],
    },
)
