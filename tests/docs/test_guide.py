"""The guide's links, commands and examples hold."""
import argparse
import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from guide import PAGES, ROOT, anchors, blocks, commands, links, make_targets, name_of
from mmdet import registry
from mmengine import load
from mmengine.config import Config

import mmfreeze
from mmfreeze.engine.layer_orders import LAYER_ORDERS

DOCS = ROOT / 'docs'
MAKEFILE = (ROOT / 'Makefile').read_text()
COMMANDS = [command for page in PAGES for command in commands(page)]
PYTHON = [block for page in PAGES if page != ROOT / 'data/README.md' for block in blocks(page)
          if block.language == 'python']
SCRIPTS = [block for block in PYTHON if re.search(r'^(from|import) ', block.text, re.M)]
CONFIGS = [block for block in PYTHON if block not in SCRIPTS]
REGISTRIES = [registry.MODELS, registry.DATASETS, registry.HOOKS, registry.LOOPS,
              registry.TRANSFORMS, registry.TASK_UTILS, registry.OPTIM_WRAPPERS,
              registry.PARAM_SCHEDULERS, registry.DATA_SAMPLERS, registry.METRICS]
# Documented arguments that the configs leave at their defaults.
FURTHER = {'dtype', 'loss_scale', 'compile_blocks', 'indices', 'tau', 'num_frozen'}


def ids(items):
    return [item.id for item in items]


@pytest.mark.parametrize('page', PAGES, ids=map(name_of, PAGES))
def test_links_lead_somewhere(page):
    for path, anchor in links(page):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f'{path}#{anchor}'


def test_every_page_is_in_the_index():
    listed = {(DOCS / path).resolve() for path, _ in links(DOCS / 'README.md')}
    assert listed >= {page for page in DOCS.glob('*.md') if page.name != 'README.md'}
    assert listed >= {DOCS / 'policies/README.md', *ROOT.glob('C*.md')}


def pictures():
    return [(page, page.parent / path) for page in PAGES for path, _ in links(page)
            if path.endswith(('.png', '.svg', '.jpg'))]


def test_every_picture_is_made_by_a_command():
    assert pictures()
    for page, picture in pictures():
        by_make = picture.resolve().relative_to(ROOT).as_posix() in MAKEFILE
        kind = picture.stem.partition('_')[0]  # report_toy.png is report.py's
        assert by_make or any(kind in Path(c.tool).stem for c in commands(page)), (page, picture)
    shown = {picture.resolve() for _, picture in pictures()}
    assert shown == {path for path in (DOCS / 'images').iterdir()}


def test_named_make_targets_exist():
    known = set(re.findall(r'^([\w-]+):', MAKEFILE, re.M))
    for page in PAGES:
        assert set(make_targets(page)) <= known, page
    assert {'toy', 'setup', 'test'} <= {target for page in PAGES for target in make_targets(page)}


class Parsed(BaseException):
    """Carries a tool's parser out of the tool, past whatever it catches."""


@pytest.fixture(scope='module')
def parser_of():
    """Returns a function that gives the parser of a tool, which runs no further than that."""
    parsers = {}

    def stop(self, *_):
        raise Parsed(self)

    def find(tool):
        if tool not in parsers:
            spec = importlib.util.spec_from_file_location('documented', ROOT / tool)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            with pytest.MonkeyPatch.context() as patch, pytest.raises(Parsed) as parsed:
                patch.setattr(argparse.ArgumentParser, 'parse_args', stop)
                module.main()
            parsers[tool] = parsed.value.args[0]
        return parsers[tool]

    return find


@pytest.mark.parametrize('command', COMMANDS, ids=ids(COMMANDS))
def test_command_is_accepted(command, parser_of, capsys):
    tool, args = command.tool, list(command.args)
    if tool.endswith('.sh'):
        assert (ROOT / tool).is_file()
        # What follows the script's own arguments is for the tool that it starts.
        tool = f'tools/{"train" if "train" in tool else "test"}.py'
    parser = parser_of(tool)
    known = {option for action in parser._actions for option in action.option_strings}
    words = re.findall(r'(?<![\w-])--[a-z][\w-]*', ' '.join(args))
    assert set(words) <= known, f'{tool} has no {set(words) - known}'
    if command.is_whole and command.tool.endswith('.py'):
        try:
            parsed = parser.parse_args(args)
        except SystemExit:
            pytest.fail(capsys.readouterr().err)
        check_config(getattr(parsed, 'config', None), getattr(parsed, 'cfg_options', None))


def check_config(path, options):
    """The config is there, and what is overridden in it too, so that a typo does not pass."""
    if path is None or path.endswith('_mine.py'):  # which a converter writes
        return
    assert (ROOT / path).is_file(), path
    cfg = Config.fromfile(ROOT / path) if options else None
    for key in options or ():
        value = cfg
        for part in key.split('.'):
            if isinstance(value, dict) and part not in value and part in FURTHER:
                break
            assert isinstance(value, list) or part in value, f'{path} has no {key}'
            value = value[int(part)] if isinstance(value, list) else value[part]


def test_the_readme_lists_every_tool_once():
    named = [command.tool for command in commands(ROOT / 'README.md')
             if 'dataset_converters' not in command.tool]
    assert len(named) == len(set(named))
    tools = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'tools').rglob('*.*')
             if path.suffix in ('.py', '.sh') and path.parent.name != 'dataset_converters'}
    assert set(named) == tools - {'tools/slurm.sh'}
    text = (ROOT / 'README.md').read_text()
    assert all(path.stem in text for path in (ROOT / 'tools/dataset_converters').glob('*.py'))


@pytest.mark.parametrize('block', SCRIPTS, ids=ids(SCRIPTS))
def test_script_prints_what_it_says(block, capsys, monkeypatch):
    """Comments at the left margin are what it prints."""
    monkeypatch.syspath_prepend(str(DOCS / 'policies'))
    names = set(registry.TASK_UTILS.module_dict)
    exec(compile(block.text, block.id, 'exec'), {'__name__': 'documented'})
    said = re.findall(r'^# (.*)$', block.text, re.M)
    assert said and capsys.readouterr().out.splitlines() == said
    for name in set(registry.TASK_UTILS.module_dict) - names:
        registry.TASK_UTILS.module_dict.pop(name)
    sys.modules.pop('own_policy', None)


@pytest.mark.parametrize('block', CONFIGS, ids=ids(CONFIGS))
def test_config_is_one(block, tmp_path):
    """Every type that it names is registered, and what is cheap to build can be built."""
    text = block.text
    if '_base_' not in text:
        text = f"_base_ = ['{ROOT}/configs/vitdet_base_toy.py']\n{text}"
    (tmp_path / 'documented.py').write_text(text.replace("'../configs/", f"'{ROOT}/configs/"))
    cfg = Config.fromfile(tmp_path / 'documented.py')
    for kind in re.findall(r"\btype='([\w.]+)'", block.text):
        assert any(each.get(kind) is not None for each in REGISTRIES), kind
    for hook in cfg.custom_hooks:
        registry.HOOKS.build(hook)
    for step in cfg.train_pipeline:
        registry.TRANSFORMS.build(step)


def messages():
    """The quoted messages of the troubleshooting page that are this project's own."""
    text = (DOCS / 'troubleshooting.md').read_text()
    own = text[:text.index('## Messages of other packages')]
    # In front of the explanation: messages between backticks, and remarks in brackets.
    heads = re.findall(r'^- ((?:`[^`]+`(?:,\s+|\s+\(a warning\))*)+):\s', own, re.M)
    return [' '.join(quoted.split()) for head in heads for quoted in re.findall('`([^`]+)`', head)]


def source_strings():
    """All strings of the sources; values that are put into them are an unlikely character."""
    for folder in ('mmfreeze', 'tools'):
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    yield ''.join(part.value if isinstance(part, ast.Constant) else '\1'
                                  for part in node.values)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_troubleshooting_quotes_real_messages():
    sources = '\0'.join(source_strings())
    quoted = messages()
    assert len(quoted) > 50
    for message in quoted:
        pattern = '[^\0]*'.join(map(re.escape, message.split('...')))
        assert re.search(pattern, sources), message


def test_the_table_of_backbones_is_complete():
    text = (DOCS / 'own_model.md').read_text()
    rows = re.findall(r'^\| (mm\w+) \| (`.*?) \|', text, re.M)
    named = {f'{package}.{name}' for package, names in rows
             for name in re.findall(r'`(\w+)`', names)}
    declaring = {'mmfreeze.ViTDetBackbone', 'mmfreeze.WideResNet'}
    assert named == set(LAYER_ORDERS) | declaring


@pytest.mark.parametrize('folder, forbidden', [
    ('freezing', r'mmengine|mmdet|mmcv|mmfreeze\.(?!freezing|utils\.files)'),
    *((folder, r'mmfreeze\.(engine|analysis)') for folder in (
        'models', 'datasets', 'evaluation', 'classification')),
    ('engine', r'mmfreeze\.analysis'),
    ('compat', r'mmengine|mmfreeze\.(?!compat)')],
    ids=lambda value: value.split('|')[0])
def test_imports_point_downwards(folder, forbidden):
    for path in (ROOT / 'mmfreeze' / folder).rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            names = ([alias.name for alias in node.names] if isinstance(node, ast.Import) else
                     [f'{absolute(path, node)}.{alias.name}' for alias in node.names]
                     if isinstance(node, ast.ImportFrom) else [])
            for name in names:
                assert not re.match(forbidden, name), f'{path} imports {name}'


def absolute(path, node):
    """The module that ``from ... import`` names."""
    package = path.relative_to(ROOT).with_suffix('').parts[:-node.level or None]
    return '.'.join([*(package if node.level else ()), *([node.module] if node.module else ())])


def test_the_citation_file_is_valid():
    """The keys that the Citation File Format 1.2.0 requires, and the version of the code."""
    content = load(ROOT / 'CITATION.cff', file_format='yaml')
    assert content['cff-version'] == '1.2.0' and content['license'] == 'Apache-2.0'
    assert content['version'] == mmfreeze.__version__
    for work in [content, *content['references']]:
        assert work['title'] and work['type']
        assert all('name' in author or 'family-names' in author for author in work['authors'])
    assert content['message']
    assert f'## [{mmfreeze.__version__}]' in (ROOT / 'CHANGELOG.md').read_text()
