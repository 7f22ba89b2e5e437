"""From any reader to COCO json: checks, clipping, counting, and writing all or nothing."""
import json
import math
from collections import Counter
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence, Union

from mmfreeze.utils.files import write_texts_atomic

from .images import decode_image
from .record import ConversionError, LabelError, Reader, Record
from .report import Finding, Report, SplitCount

REPORT_NAME = 'conversion_report.txt'


def convert(reader: Reader, out_dir: Union[str, Path], on_error: str = 'fail',
            on_defect: str = 'clip', check_images: bool = False,
            also: Optional[Mapping[Path, str]] = None) -> Report:
    """Writes one COCO json per split, and the report, into a folder.

    An image has the same id in every split. Category ids are 1, 2, ... in the order of the
    classes. Boxes are ``[x, y, width, height]`` in pixels, counted from 0.

    Args:
        reader: The data set in its own layout.
        out_dir: The folder for ``<split>.json`` and ``conversion_report.txt``.
        on_error: ``'fail'`` reports every file that is missing or cannot be used, and writes
            nothing; ``'skip'`` leaves those images out, counted and listed.
        on_defect: ``'clip'`` clips boxes that leave their image and drops those of which nothing
            is left, counted and listed; ``'reject'`` treats the label file of such a box as one
            that cannot be used.
        check_images: Whether to decode every image in full.
        also: The texts of further files to write with the others, by their paths.

    Returns:
        What was written and what was found.

    Raises:
        ConversionError: If a file cannot be used and ``on_error`` is ``'fail'`` (one line per
            image), or if a split has no image left.
        OSError: If the output cannot be written; nothing has changed then.
        ValueError: If ``on_error`` or ``on_defect`` is something else.
    """
    if on_error not in ('fail', 'skip') or on_defect not in ('clip', 'reject'):
        raise ValueError("on_error must be 'fail' or 'skip' and on_defect 'clip' or 'reject', not "
                         f'{on_error!r} and {on_defect!r}')
    report = Report()
    report.findings += reader.findings
    image_ids = list(dict.fromkeys(image_id for ids in reader.splits.values() for image_id in ids))
    records: Dict[str, Record] = {}
    errors = []
    for image_id in image_ids:
        try:
            record = reader.read(image_id)
            if check_images:
                decode_image(reader.root, record.file_name)
            records[image_id] = _checked(record, reader.classes, on_defect, report)
        except LabelError as error:
            errors.append(str(error))
            report.findings.append(Finding(Report.LEFT_OUT, str(error)))
    if errors and on_error == 'fail':
        raise ConversionError('\n'.join(errors) + f'\n{len(errors)} of {len(image_ids)} images '
                              'cannot be used; --on-error skip would leave them out')
    for name, ids in reader.splits.items():
        if not any(image_id in records for image_id in ids):
            raise ConversionError(f'{name}: none of the {len(ids)} listed images can be used' +
                                  (f'; the first trouble: {errors[0]}' if errors else ''))
        _note_repeated(name, reader.splits, report)

    numbers = {image_id: number for number, image_id in enumerate(image_ids, start=1)}
    out_dir = Path(out_dir)
    texts = dict(also or {})
    for name, ids in reader.splits.items():
        kept = {numbers[image_id]: records[image_id] for image_id in ids if image_id in records}
        texts[out_dir / f'{name}.json'] = _coco_json(kept, reader.classes)
        report.splits[name] = SplitCount(len(kept), sum(len(r.boxes) for r in kept.values()))
    report.images = len(records)
    report.boxes_per_class = dict.fromkeys(reader.classes, 0)
    for record in records.values():
        for box in record.boxes:
            report.boxes_per_class[box.name] += 1
    texts[out_dir / REPORT_NAME] = report.text()
    for path in texts:
        if path.is_dir():
            raise ConversionError(f'{path}: is a folder where a file is to be written; remove it')
    write_texts_atomic(texts)
    return report


def _note_repeated(name: str, splits: Mapping[str, Sequence[str]], report: Report) -> None:
    """Notes images that a split lists twice, and those that are held out by a later split too.

    Val and test are held out from training; test also from val, which DIOR's trainval takes in.
    """
    report.findings += [Finding(Report.REPEATED, f'{name}: {image_id}')
                        for image_id, times in Counter(splits[name]).items() if times > 1]
    held_out = dict(train=('val', 'test'), trainval=('test',), val=('test',)).get(name, ())
    report.findings += [Finding(Report.SHARED, f'{name} and {other}: {image_id}')
                        for other in held_out
                        for image_id in sorted(set(splits[name]) & set(splits.get(other, ())))]


def _checked(record: Record, classes: Sequence[str], on_defect: str, report: Report) -> Record:
    """Returns the record with usable boxes only; the report is touched only if it succeeds."""
    unknown = sorted({box.name for box in record.boxes}.difference(classes))
    if unknown:
        raise LabelError(f'{record.label}: unknown class {", ".join(map(repr, unknown))}; '
                         f'known are {", ".join(classes)}')
    kept, findings = [], []
    for number, box in enumerate(record.boxes, start=1):
        x1, y1, x2, y2 = box.corners
        if not all(map(math.isfinite, box.corners)):
            raise LabelError(f'{record.label}: object {number}, {box.name} {box.listed}: '
                             'a coordinate is no number; mend it')
        left, top = max(x1, 0), max(y1, 0)
        right, bottom = min(x2, record.width), min(y2, record.height)
        if x2 <= x1 or y2 <= y1:
            kind = Report.NO_AREA
        elif right <= left or bottom <= top:
            kind = Report.OUTSIDE
        else:
            kept.append(box._replace(corners=(left, top, right, bottom)))
            if kept[-1].corners == box.corners:
                continue
            kind = Report.CLIPPED
        findings.append(Finding(
            kind, f'{record.label}: object {number}, {box.name} {box.listed}, image '
            f'{record.width} x {record.height}'))
    if findings and on_defect == 'reject':
        raise LabelError('; '.join(f'{text}: {kind}' for kind, text in findings))
    report.findings += record.findings + findings
    return record._replace(boxes=kept)


def _coco_json(records: Dict[int, Record], classes: Sequence[str]) -> str:
    categories = {name: number for number, name in enumerate(classes, start=1)}
    images, annotations = [], []
    for image_id, record in records.items():
        images.append(dict(id=image_id, file_name=record.file_name, width=record.width,
                           height=record.height))
        for box in record.boxes:
            x1, y1, x2, y2 = box.corners
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id, category_id=categories[box.name],
                bbox=[x1, y1, x2 - x1, y2 - y1], area=(x2 - x1) * (y2 - y1),
                iscrowd=int(box.ignored)))
    return json.dumps(dict(
        images=images, annotations=annotations,
        categories=[dict(id=number, name=name) for name, number in categories.items()]))
