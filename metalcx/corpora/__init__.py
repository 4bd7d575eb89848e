"""Corpora: many measured curves on disk. Opens, validates, writes, streams and splits them. Knows nothing of models."""

from metalcx.corpora._checksums import read_checksums as read_checksums
from metalcx.corpora._checksums import write_checksums as write_checksums
from metalcx.corpora._corpus import Corpus as Corpus
from metalcx.corpora._duplicates import duplicated as duplicated
from metalcx.corpora._duplicates import first_of_identical as first_of_identical
from metalcx.corpora._fetch import FetchedFile as FetchedFile
from metalcx.corpora._fetch import fetch as fetch
from metalcx.corpora._format import FORMAT as FORMAT
from metalcx.corpora._known import KnownCorpus as KnownCorpus
from metalcx.corpora._known import KnownFile as KnownFile
from metalcx.corpora._known import find_known as find_known
from metalcx.corpora._known import known_corpora as known_corpora
from metalcx.corpora._known import raw_folder as raw_folder
from metalcx.corpora._points import Points as Points
from metalcx.corpora._read_table import curves_of_tables as curves_of_tables
from metalcx.corpora._read_table import read_table as read_table
from metalcx.corpora._registry import CorpusInfo as CorpusInfo
from metalcx.corpora._registry import disk_size as disk_size
from metalcx.corpora._registry import find_corpus as find_corpus
from metalcx.corpora._registry import list_corpora as list_corpora
from metalcx.corpora._registry import open_corpus as open_corpus
from metalcx.corpora._report import Problem as Problem
from metalcx.corpora._report import Report as Report
from metalcx.corpora._splits import FamilySplit as FamilySplit
from metalcx.corpora._splits import GroupSplit as GroupSplit
from metalcx.corpora._splits import all_tasks as all_tasks
from metalcx.corpora._splits import check_no_leak as check_no_leak
from metalcx.corpora._splits import check_no_shared_group as check_no_shared_group
from metalcx.corpora._splits import families as families
from metalcx.corpora._splits import family_folds as family_folds
from metalcx.corpora._splits import group_codes as group_codes
from metalcx.corpora._splits import leave_one_family_out as leave_one_family_out
from metalcx.corpora._splits import split_by_family as split_by_family
from metalcx.corpora._splits import split_groups as split_groups
from metalcx.corpora._task import Task as Task
from metalcx.corpora._validate import validate as validate
from metalcx.corpora._write import write_corpus as write_corpus
from metalcx.corpora._writer import CorpusWriter as CorpusWriter

__all__ = [
    "FORMAT",
    "Corpus",
    "CorpusInfo",
    "CorpusWriter",
    "FamilySplit",
    "FetchedFile",
    "GroupSplit",
    "KnownCorpus",
    "KnownFile",
    "Points",
    "Problem",
    "Report",
    "Task",
    "all_tasks",
    "check_no_leak",
    "check_no_shared_group",
    "curves_of_tables",
    "disk_size",
    "duplicated",
    "families",
    "family_folds",
    "fetch",
    "find_corpus",
    "find_known",
    "first_of_identical",
    "group_codes",
    "known_corpora",
    "leave_one_family_out",
    "list_corpora",
    "open_corpus",
    "raw_folder",
    "read_checksums",
    "read_table",
    "split_by_family",
    "split_groups",
    "validate",
    "write_checksums",
    "write_corpus",
]
