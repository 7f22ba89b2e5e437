"""tools/analysis_tools/report.py writes a page that stands by itself."""
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfreeze.analysis.report import report_page
from mmfreeze.analysis.report.detections import sample_detections
from mmfreeze.analysis.runs import read_run, read_runs
from mmfreeze.datasets import ToyDataset

ROOT = Path(__file__).resolve().parents[2]
TOOL = 'analysis_tools/report.py'
CLASSES = ToyDataset.METAINFO['classes']
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
                None)


class Page(HTMLParser):
    """What is in a page: tables by caption as rows of texts, links, texts by section."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.links, self.tags, self.sections = {}, [], [], {}
        self._rows, self._open, self._section = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self._open.append(tag)
        self.links += [attrs[key] for key in ('src', 'href', 'srcset', 'action') if key in attrs]
        if tag == 'section':
            self._section = attrs['id']
            self.sections[self._section] = ''
        elif tag == 'table':
            self._rows = []
        elif tag == 'tr':
            self._rows.append([])
        elif tag in ('td', 'th'):
            self._rows[-1].append('')

    def handle_endtag(self, tag):
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        inside = self._open[-1] if self._open else ''
        if inside == 'caption':
            self.tables[data] = self._rows
        elif inside in ('td', 'th'):
            self._rows[-1][-1] += data
        if self._section:
            self.sections[self._section] += data


def write_run(folder, policy, frozen, found):
    """A run of a tiny detector that takes every proposal for one class, and knows it for sure."""
    cfg = Config.fromfile(ROOT / 'configs/vitdet_base_toy.py')
    cfg.model.backbone.update(depth=1, global_attn_indexes=(0, ))
    cfg.merge_from_dict({'custom_hooks.0.policy.type': policy, 'train_cfg.max_epochs': 2,
                         'model.test_cfg.rcnn.max_per_img': 3})
    cfg.model.backbone.init_cfg = dict(type='PretrainedViT', checkpoint=found)
    folder.mkdir(parents=True)
    cfg.dump(folder / 'config.py')
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    torch.nn.init.constant_(model.roi_head.bbox_head.fc_cls.bias[CLASSES.index(found)], 9.)
    torch.save(dict(state_dict=model.state_dict(),
                    meta=dict(dataset_meta=dict(classes=CLASSES))), folder / 'epoch_2.pth')
    (folder / 'last_checkpoint').write_text('/elsewhere/epoch_2.pth')
    (folder / 'freezing_timeline.json').write_text(json.dumps(dict(
        policy=dict(type=policy), layers=[['a']], decisions=[], fills=[],
        epochs=[dict(epoch=i, num_frozen=n, train_seconds=3. - n)
                for i, n in enumerate(frozen, 1)],
        validations=[dict(iteration=2, epoch=2, metrics={'coco/bbox_mAP_50': .5})])))


@pytest.fixture(scope='module')
def made(tiny_toy, tmp_path_factory):
    """A folder with two runs, the toy set and a page about them, ``report.html``."""
    folder = tmp_path_factory.mktemp('made')
    (folder / 'data').symlink_to(tiny_toy / 'data')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_run(Path('base'), 'NoFreezing', [0, 0], 'ship')
        write_run(Path('<lfa>'), 'LinearFreezing', [0, 1], 'vehicle')
        page = report_page(read_runs(['base', '<lfa>']), 2, 'A < B')
        Path('report.html').write_text(page)
    return folder


@pytest.fixture
def copied(made, tmp_path, monkeypatch):
    """The current folder is a copy of those runs, which may be changed."""
    shutil.copytree(made, tmp_path / 'copy', symlinks=True)
    monkeypatch.chdir(tmp_path / 'copy')


def check_page(page):
    table = page.tables['Run by run:']
    assert [row[0] for row in table] == ['run', 'base', '<lfa>']
    assert ['1.00', '1.20'] == [row[table[0].index('speed-up')] for row in table[1:]]
    assert ['custom_hooks.0.policy.type', "'NoFreezing'", "'LinearFreezing'"] in (
        page.tables['<lfa> against base:'])
    assert ['model.backbone.init_cfg.checkpoint', "'ship'", "'vehicle'"] in (
        page.tables['<lfa> against base:']), 'showing detections changes no config'
    assert 'saved 16.7 %' in page.sections['summary']
    assert 'not tell the environment' in page.sections['environment']
    assert len(page.links) > 4
    assert all(link.startswith(('data:', '#sample')) for link in page.links)


def test_page(made):
    text = (made / 'report.html').read_text()
    page = Page(text)
    check_page(page)
    assert ('html', dict(lang='en')) in page.tags and '<title>A &lt; B</title>' in text
    assert not [tag for tag, _ in page.tags if tag in ('script', 'iframe', 'object')]
    assert not re.search(r'url\(|@import|https?://', text)
    images = [attrs for tag, attrs in page.tags if tag == 'img']
    assert len(images) == 3 and all(attrs['alt'] for attrs in images)
    numbers = [attrs.get('class') for tag, attrs in page.tags if tag == 'td']
    assert numbers.count('number') >= 20


def test_detections_of_base_and_frozen(made):
    page = Page((made / 'report.html').read_text())
    panels = [attrs['aria-label'] for tag, attrs in page.tags if tag == 'svg']
    assert len(panels) == 6, 'truth, base and lfa, of two images'
    truth = json.loads((made / 'data/toy/annotations/test.json').read_text())
    names = {category['id']: category['name'] for category in truth['categories']}
    for panel, image in zip(panels[::3], truth['images'][::2]):
        objects = [names[box['category_id']] for box in truth['annotations']
                   if box['image_id'] == image['id']]
        assert sorted(panel.removeprefix('ground truth: ').split(', ')) == sorted(objects)
    assert panels[1] == panels[4] == 'base: ' + ', '.join(['ship 1.00'] * 3)
    assert panels[2] == panels[5] == '<lfa>: ' + ', '.join(['vehicle 1.00'] * 3)


@pytest.mark.skipif(CHROMIUM is None, reason='Chromium is absent')
def test_page_in_chromium(made, tmp_path):
    done = subprocess.run(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr',
         f'--user-data-dir={tmp_path / "profile"}', '--host-resolver-rules=MAP * ~NOTFOUND',
         '--dump-dom', f'file://{made}/report.html'],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    check_page(Page(done.stdout))
    # The page's own policy lets nothing be loaded but what is in it; a refusal would be logged.
    assert 'Content-Security-Policy' in done.stdout
    assert 'Content Security Policy' not in done.stderr, done.stderr


def test_what_is_missing_is_said(copied):
    def notes():
        runs = dict(base=read_run('base'), lfa=read_run('<lfa>'))
        return sample_detections(runs, 1)[1]
    assert notes() == []
    Path('<lfa>/epoch_2.pth').rename('<lfa>/best_coco_bbox_mAP_50_epoch_2.pth')
    assert notes() == [], 'the best one stands in for a last one that is gone'
    Path('<lfa>/best_coco_bbox_mAP_50_epoch_2.pth').unlink()
    assert notes() == ['Those of lfa are missing: there is no whole checkpoint in <lfa>.']
    Path('data').unlink()
    [note] = notes()
    assert note.startswith('There are none, for the validation set of base cannot be read: ')
    assert 'data/toy' in note


def test_the_tool_leaves_runs_as_they_are(run_tool, copied):
    Path('base/config.py').unlink()
    before = {path: path.read_bytes() for path in Path().glob('[b<]*/**/*') if path.is_file()}
    done = run_tool(TOOL, 'base', '<lfa>', '--out', 'base/report.html', '--images', '0')
    assert done.code == 0 and 'written: base/report.html' in done.out, done.err
    after = {path: path.read_bytes() for path in Path().glob('[b<]*/**/*') if path.is_file()}
    page = Page(after.pop(Path('base/report.html')).decode())
    assert after == before and len(before) > 5
    assert 'None were asked for.' in page.sections['detections']
    assert 'No readable config lies in the work dir of base.' in page.sections['settings']


@pytest.mark.parametrize('args, words', [
    (['base', '--out', 'base/freezing_timeline.json'], ['--out base/freezing_timeline.json',
                                                        '.html']),
    (['base', '--out', 'x.html', '--images', '-1'], ['--images', '-1']),
    (['nothing', '--out', 'x.html'], ['nothing', 'LayerFreezingHook']),
    (['.', '--out', 'x.html'], ['freezing_timeline.json', 'LayerFreezingHook']),
    (['base', 'base', '--out', 'x.html'], ['base is given twice'])])
def test_refusals(made, monkeypatch, run_tool, args, words):
    monkeypatch.chdir(made)
    done = run_tool(TOOL, *args)
    errors = [line for line in done.err.splitlines() if line.startswith('error: ')]
    assert done.code == 1 and len(errors) == 1 and 'Traceback' not in done.err
    assert all(word in errors[0] for word in words), errors[0]
    assert not Path('x.html').exists()


def test_help_has_an_example(run_tool):
    done = run_tool(TOOL, '--help')
    assert done.code == 0 and f'python tools/{TOOL}' in done.out
