"""Trains many small networks on many small datasets and writes what happened as a corpus."""

from metalcx.corpora.build._build import BuildReport as BuildReport
from metalcx.corpora.build._build import build_corpus as build_corpus
from metalcx.corpora.build._data import Data as Data
from metalcx.corpora.build._data import DataSpec as DataSpec
from metalcx.corpora.build._data import make as make
from metalcx.corpora.build._expand import expand as expand
from metalcx.corpora.build._meta_features import meta_features as meta_features
from metalcx.corpora.build._recipe import Recipe as Recipe
from metalcx.corpora.build._recipe import RunsOf as RunsOf
from metalcx.corpora.build._recipe import read_recipe as read_recipe

__all__ = [
    "BuildReport",
    "Data",
    "DataSpec",
    "Recipe",
    "RunsOf",
    "build_corpus",
    "expand",
    "make",
    "meta_features",
    "read_recipe",
]
