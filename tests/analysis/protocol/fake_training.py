"""A protocol whose trainings only pretend, so that what surrounds them can be tested quickly."""
from mmengine.config import Config

from mmfreeze.analysis.protocol import Protocol, Trainer, make_rows
from mmfreeze.analysis.protocol.costs import TrainingCosts
from mmfreeze.freezing.cost import LayerCosts

# 8 images an epoch, in 4 iterations.
COSTS = TrainingCosts(LayerCosts(forward=[5, 3, 2], backward=[10, 6, 4], rest_forward=4,
                                 rest_backward=7), images=8)
# Seconds of an epoch.
SECONDS = dict(NoFreezing=4., LinearFreezing=3.4, AdaptiveFreezing=3., StaticFreezing=2.)

# Takes what tools/train.py takes. What CALLS lists it was called for; a part that KILLED names dies
# in the middle of its first attempt, one that BROKEN names fails, those that WAITING names wait for
# SIGTERM, those that MEETING names for each other.
PROGRAM = '''
import json, os, signal, sys, time
from pathlib import Path

cfg, work_dir = {{}}, Path(sys.argv[sys.argv.index('--work-dir') + 1])
exec(Path(sys.argv[1]).read_text(), cfg)
name = f'{{work_dir.parent.name}}/{{work_dir.name}}'
resumed = '--resume' in sys.argv and (work_dir / 'freezing_timeline.json').is_file()
with open({calls!r}, 'a') as calls:
    print(name, 'resumed' if resumed else 'new', cfg['train_cfg']['max_epochs'],
          cfg['randomness']['seed'], file=calls)
work_dir.mkdir(exist_ok=True)
hook, = cfg['custom_hooks']
policy = hook['policy']['type']


def write(epochs, validated):
    seconds = {seconds!r}.get(policy, 3.5)
    (work_dir / 'freezing_timeline.json').write_text(json.dumps(dict(
        policy=hook['policy'], layers=[['a'], ['b'], ['c']], decisions=[], fills=[],
        epochs=[dict(epoch=i + 1, num_frozen=0, train_seconds=seconds) for i in range(epochs)],
        validations=[dict(iteration=4 * epochs, epoch=epochs, metrics={{
            'coco/bbox_mAP': .4, 'coco/bbox_mAP_50': .7, 'coco/AR@10': .5}})] * validated)))


epochs = cfg['train_cfg']['max_epochs']
if name == os.environ.get('BROKEN'):
    print('\\n'.join(f'line {{i}}' for i in range(20)))
    sys.exit(3)
if name == os.environ.get('KILLED') and not resumed:
    write(epochs // 2, 1)
    os.kill(os.getpid(), signal.SIGKILL)
if name == os.environ.get('UNVALIDATED'):
    write(epochs, 0)
    sys.exit(0)
meeting = os.environ.get('MEETING', '').split()
if name in meeting:
    (work_dir / 'came').touch()
    until = time.monotonic() + 20
    while not all((work_dir.parents[1] / other / 'came').exists() for other in meeting):
        time.sleep(.02)
        if time.monotonic() > until:
            sys.exit(4)
if name in os.environ.get('WAITING', '').split() and not resumed:
    signal.signal(signal.SIGTERM, lambda *_: (write(epochs // 2, 0), sys.exit(143)))
    (work_dir / 'waits').touch()
    time.sleep(60)
write(epochs, 1)
'''


def small_config(**settings) -> Config:
    """An un-frozen training of six epochs, as far as the protocol looks at it."""
    return Config(dict(dict(
        model=dict(type='Detector'),
        train_cfg=dict(type='ExactEpochBasedTrainLoop', max_epochs=6),
        val_dataloader=dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile')])),
        train_dataloader=dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile')])),
        param_scheduler=[
            dict(type='LinearLR', by_epoch=False, begin=0, end=10),
            dict(type='MultiStepLR', by_epoch=True, begin=0, end=6, milestones=[4, 5])],
        optim_wrapper=dict(type='OptimWrapper', constructor='LayerGroupsConstructor',
                           optimizer=dict(type='AdamW', lr=1e-3)),
        custom_hooks=[dict(type='LayerFreezingHook', policy=dict(type='NoFreezing'))]),
        **settings))


def fake_protocol(tmp_path, policies=('base', 'afa'), seeds=2, jobs=1, **settings):
    """Returns a protocol, the trainer for it, and a function that lists the calls so far."""
    calls = tmp_path / 'calls.txt'
    program = tmp_path / 'program.py'
    program.write_text(PROGRAM.format(calls=str(calls), seconds=SECONDS))
    rows = make_rows(small_config(**settings), policies, 3)
    protocol = Protocol(rows, seeds, tmp_path / 'out', COSTS)
    return protocol, Trainer(program, protocol.out, jobs), lambda: (
        calls.read_text().splitlines() if calls.is_file() else [])
