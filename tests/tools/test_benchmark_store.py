"""The command line that measures the store."""
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = 'analysis_tools/benchmark_store.py'
TOY = ROOT / 'configs/vitdet_afa-store_toy.py'
SMALL = ['--cfg-options', 'model.backbone.depth=3', 'model.backbone.global_attn_indexes=(2,)',
         'model.backbone.embed_dim=24', 'model.neck.in_channels=24',
         'train_dataloader.batch_size=2', 'model.train_cfg.rcnn.sampler.num=8']


def test_a_table_of_costs_and_errors(run_tool, in_tiny_toy):
    result = run_tool(TOOL, TOY, '--frozen', 1, 2, *SMALL)
    assert result.code == 0, result.err
    assert 'without its pixels. 4 views, 26 epochs' in result.out
    written = json.loads(Path('work_dirs/store_vitdet_afa-store_toy/store.json').read_text())
    rows = written['rows']
    assert [(row['num_frozen'], row['dtype']) for row in rows] == [
        (n, dtype) for n in (1, 2) for dtype in ('float16', 'bfloat16', 'float32')]
    for float16, bfloat16, float32 in (rows[:3], rows[3:]):
        assert float32['error'] == float32['loss_error'] == 0
        # Half a unit of the last of 11 and of 8 binary digits, at most.
        assert 0 < float16['error'] < 2**-11 < bfloat16['error'] < 2**-8
        assert float32['megabytes'] == 2 * float16['megabytes'] == 24 * 100 * 4 / 1e6
    assert rows[0]['forward'] < rows[3]['forward']
    assert not Path('work_dirs/store_vitdet_afa-store_toy/store_benchmark').exists()


@pytest.mark.parametrize('args, message', [
    (['absent.py'], 'there is no config absent.py'),
    ([ROOT / 'configs/vitdet_afa_toy.py'], 'RandomFlip may show a sample in more ways'),
    ([TOY, '--checkpoint', 'absent.pth'], 'absent.pth'),
    ([TOY, '--frozen', 13], '--frozen 13: the backbone has 12 freezable layers'),
    ([TOY, '--frozen', 0], '--frozen 0')])
def test_one_line_errors(run_tool, in_tiny_toy, args, message):
    result = run_tool(TOOL, *args)
    assert result.code != 0 and message in result.err
    assert len(result.err.strip().splitlines()) == 1
