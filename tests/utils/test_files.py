"""Files are replaced all together or not at all."""
import os

import pytest

from mmfreeze.utils.files import write_text_atomic, write_texts_atomic


def test_writes_and_replaces(tmp_path):
    path = tmp_path / 'new' / 'a.txt'
    write_text_atomic(str(path), 'first\r\nline')
    write_text_atomic(path, 'zweite Zeile: ä\n')
    assert path.read_bytes() == 'zweite Zeile: ä\n'.encode()
    assert os.listdir(path.parent) == ['a.txt']
    write_text_atomic(path, 'a\r\nb')
    assert path.read_bytes() == b'a\r\nb'


def test_failure_leaves_everything_as_it_was(tmp_path):
    good, bad = tmp_path / 'good.txt', tmp_path / 'bad.txt'
    good.write_text('old')
    with pytest.raises(UnicodeEncodeError):
        write_texts_atomic({good: 'new', bad: 'lone surrogate \udc80'})
    assert good.read_text() == 'old'
    assert os.listdir(tmp_path) == ['good.txt']


def test_readable_as_other_new_files_are(tmp_path):
    write_text_atomic(tmp_path / 'a.txt', '')
    (tmp_path / 'b.txt').write_text('')
    assert (tmp_path / 'a.txt').stat().st_mode == (tmp_path / 'b.txt').stat().st_mode
