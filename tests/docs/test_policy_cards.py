"""The cards in docs/policies against the classes that they describe."""
import ast
import inspect
import re
from pathlib import Path

import pytest

from mmfreeze import freezing

DOCS = Path(__file__).resolve().parents[2] / 'docs' / 'policies'
# The second policy of a card has no settings of its own.
CARDS = dict(linear=['LinearFreezing'], adaptive=['AdaptiveFreezing'],
             geometric=['GeometricFreezing'], static=['StaticFreezing', 'NoFreezing'],
             freezeout=['FreezeOut'], learn_and_drop=['LearnAndDrop'])
FOUND = sorted(path.stem for path in DOCS.glob('*.md') if path.stem != 'README')


def settings_of_card(text):
    """Names and defaults of the settings table, None for what is required."""
    table = text.split('| setting | default | meaning |\n|---|---|---|\n')[1].split('\n\n')[0]
    rows = [re.fullmatch(r'\| `(\w+)` \| `([^`]+)` \| \S.* \|', row) for row in table.splitlines()]
    return {row[1]: None if row[2] == 'required' else [ast.literal_eval(row[2])] for row in rows}


def settings_of_class(policy):
    return {p.name: None if p.default is p.empty else [p.default]
            for p in inspect.signature(policy).parameters.values()}


@pytest.mark.parametrize('card', FOUND)
def test_settings_are_those_of_the_class(card):
    text = (DOCS / f'{card}.md').read_text()
    first = CARDS[card][0]
    assert all(f'`{name}`' in text.splitlines()[0] for name in CARDS[card])
    if not hasattr(freezing, first):
        pytest.skip(f'there is no {first}')
    assert settings_of_card(text) == settings_of_class(getattr(freezing, first))


@pytest.mark.parametrize('card', FOUND)
def test_a_page_with_all_that_a_card_has(card):
    text = (DOCS / f'{card}.md').read_text()
    for heading in ('What (it decides|they decide)', 'Settings', 'What (it saves|they save)',
                    'What is known to go wrong', 'Our own result'):
        assert re.search(f'^## {heading}$', text, re.M), heading
    assert '**Source.**' in text
    assert f']({card}.md)' in (DOCS / 'README.md').read_text()


def test_every_policy_has_a_card():
    policies = {name for name, value in vars(freezing).items()
                if inspect.isclass(value) and issubclass(value, freezing.FreezePolicy)
                and not inspect.isabstract(value)}
    assert policies <= {name for card in FOUND for name in CARDS[card]}
