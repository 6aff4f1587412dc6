"""The record of a release: the document (`document`), and what tag, plan and git say against it (`comparison`).

Nothing here reads a repository.
"""

from orchestrator.core.record.comparison import (
    Comparison,
    ReleaseFacts,
    comparisons,
    differences,
    facts_of_plan,
    facts_of_tag,
    must_agree,
)
from orchestrator.core.record.document import (
    PREFIX,
    SCHEMA_VERSION,
    Delta,
    Origin,
    Record,
    RecordedBase,
    RecordedConfig,
    RecordedFloating,
    RecordedImage,
    RecordedLock,
    RecordedPatch,
    RecordedTag,
    RecordedTool,
    RecordedVerify,
    bad_record,
    document,
    parse_record,
    record_ref,
    render,
)

__all__ = [
    "PREFIX",
    "SCHEMA_VERSION",
    "Comparison",
    "Delta",
    "Origin",
    "Record",
    "RecordedBase",
    "RecordedConfig",
    "RecordedFloating",
    "RecordedImage",
    "RecordedLock",
    "RecordedPatch",
    "RecordedTag",
    "RecordedTool",
    "RecordedVerify",
    "ReleaseFacts",
    "bad_record",
    "comparisons",
    "differences",
    "document",
    "facts_of_plan",
    "facts_of_tag",
    "must_agree",
    "parse_record",
    "record_ref",
    "render",
]
