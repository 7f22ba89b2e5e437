"""The command line that compares what layers compute during a training."""
import json
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

ROOT = Path(__file__).resolve().parents[2]
TOOL = 'analysis_tools/representation_similarity.py'
TOY = ROOT / 'configs/vitdet_base_toy.py'
SMALL = {'model.backbone.depth': 3, 'model.backbone.global_attn_indexes': (2,),
         'model.backbone.embed_dim': 24, 'model.neck.in_channels': 24}
OPTIONS = ['--cfg-options', *(f'{key}={value}' for key, value in SMALL.items())]
LAYERS = [['backbone.patch_embed', 'backbone.pos_embed', 'backbone.blocks.0'],
          ['backbone.blocks.1'], ['backbone.blocks.2']]


def record(*decisions):
    """That of a run which froze so many layers after so many epochs."""
    return dict(decisions=[dict(iteration=10 * epoch, epoch=epoch, num_frozen=n)
                           for epoch, n in decisions], epochs=[], validations=[], fills=[])


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    """Those of three epochs of a small detector, of which layer 0 froze after the second."""
    cfg = Config.fromfile(TOY)
    cfg.merge_from_dict(SMALL)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    state = dict(policy=dict(type='LinearFreezing'), layers=LAYERS, timeline=record((2, 1)))
    folder = tmp_path_factory.mktemp('run')
    torch.manual_seed(0)
    for epoch, frozen in ((1, ()), (2, ()), (10, ('patch_embed', 'pos_embed', 'blocks.0'))):
        with torch.no_grad():
            for name, param in model.backbone.named_parameters():
                if not name.startswith(frozen or '-'):
                    param.add_(.2 * torch.randn_like(param))
        torch.save(dict(meta=dict(epoch=epoch, iter=10 * epoch), state_dict=model.state_dict(),
                        mmfreeze=state), folder / f'epoch_{epoch}.pth')
    return folder


@pytest.fixture
def run(checkpoints, in_tiny_toy):
    """Makes the current folder one with these checkpoints."""
    for path in checkpoints.iterdir():
        Path(path.name).symlink_to(path)


def test_frozen_layers_are_equal_to_the_final_model(run_tool, run):
    # As a shell sorts them.
    files = ['epoch_1.pth', 'epoch_10.pth', 'epoch_2.pth']
    result = run_tool(TOOL, TOY, '--checkpoints', *files, *OPTIONS)
    assert result.code == 0, result.err
    out = Path('work_dirs/similarity_vitdet_base_toy')
    written = json.loads((out / 'similarity.json').read_text())
    assert written['times'] == [1, 2, 10] and written['layers'] == LAYERS
    assert (written['images'], written['minibatches']) == (4, 1)
    first, second, third = written['cka']
    assert first[1:] == [1, 1] and second[2] == third[2] == 1
    assert all(value < 1 - 1e-6 for value in (first[0], *second[:2], *third[:2])), written['cka']
    assert written['freezing']['after'] == [2, None, None] and written['freezing']['own']
    assert '- layer 0 froze after epoch 2; its CKA to the final model was 1.000 then' in result.out
    assert (out / 'similarity.md').read_text() in result.out
    assert (out / 'similarity.png').stat().st_size > 1000


def test_another_run_is_judged(run_tool, run):
    Path('lfa').mkdir()
    timeline = dict(record((1, 1), (5, 3)), policy=dict(type='LinearFreezing'), layers=LAYERS)
    Path('lfa/freezing_timeline.json').write_text(json.dumps(timeline))
    result = run_tool(TOOL, TOY, '--checkpoints', 'epoch_2.pth', 'epoch_10.pth', '--freezing',
                      'lfa', '--threshold', 1, '--out', 'there', *OPTIONS)
    assert result.code == 0, result.err
    assert '- layer 0 froze after epoch 1; no checkpoint is that early' in result.out
    assert '2 of the 3 layers that froze had not reached 1 by then: 1, 2.' in result.out
    assert sorted(path.name for path in Path('there').iterdir()) == [
        'similarity.json', 'similarity.md', 'similarity.png']
    assert [path.name for path in Path('lfa').iterdir()] == ['freezing_timeline.json']


@pytest.mark.parametrize('config, options, message', [
    ('absent.py', [], 'there is no config absent.py'),
    (TOY, ['epoch_3.pth'], 'there is no checkpoint epoch_3.pth'),
    (TOY, [], 'epoch_1.pth is a checkpoint of another model'),
    (TOY, ['--batch', 3], '--batch must be at least 4, but is 3'),
    (TOY, ['--images', 0], '--images must be at least 4, but is 0'),
    (TOY, ['--threshold', 1.5], '--threshold must be above 0 and at most 1, but is 1.5'),
    (TOY, ['--freezing', 'nowhere'], 'there is no nowhere'),
    (TOY, ['--out', 'epoch_1.pth'], '--out epoch_1.pth is a file')])
def test_one_line_errors(run_tool, run, config, options, message):
    result = run_tool(TOOL, config, '--checkpoints', 'epoch_1.pth', 'epoch_2.pth', *options)
    assert result.code == 1 and message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_runs_of_iteration_loops_are_judged_by_iterations(run_tool, run):
    Path('lfa').mkdir()
    timeline = dict(record(), policy=dict(type='LinearFreezing'), layers=LAYERS)
    timeline['decisions'] = [dict(iteration=25, epoch=0, num_frozen=1)]
    Path('lfa/freezing_timeline.json').write_text(json.dumps(timeline))
    result = run_tool(TOOL, TOY, '--checkpoints', 'epoch_2.pth', 'epoch_10.pth', '--freezing',
                      'lfa', *OPTIONS)
    assert '- layer 0 froze after iteration 25; its CKA to the final model was 1.000' in result.out


def test_a_diverged_run_ends_in_one_line(run_tool, run):
    checkpoint = torch.load('epoch_2.pth', weights_only=False)
    checkpoint['state_dict']['backbone.patch_embed.proj.bias'] *= torch.nan
    Path('epoch_2.pth').unlink()
    torch.save(checkpoint, 'epoch_2.pth')
    result = run_tool(TOOL, TOY, '--checkpoints', 'epoch_1.pth', 'epoch_2.pth', *OPTIONS)
    assert result.code == 1 and 'epoch_2.pth: layers give NaN or infinite values' in result.err


def test_records_of_other_layers_end_in_one_line(run_tool, run):
    result = run_tool(TOOL, TOY, '--checkpoints', 'epoch_1.pth', 'epoch_2.pth', *OPTIONS,
                      'custom_hooks.0.layers=[backbone.blocks.*]')
    assert result.code == 1 and 'trained with 3 layers that are not the 3' in result.err
