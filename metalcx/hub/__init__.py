"""Models on disk: load and save a folder of JSON, tensors and a card. No pickle, no network."""

from metalcx.hub._encoders import load_encoder as load_encoder
from metalcx.hub._encoders import save_encoder as save_encoder
from metalcx.hub._load import load as load
from metalcx.hub._load import load_base as load_base
from metalcx.hub._registry import CLASSES as CLASSES
from metalcx.hub._registry import Savable as Savable
from metalcx.hub._save import check_target as check_target
from metalcx.hub._save import save as save
from metalcx.hub._save import save_adapted as save_adapted
from metalcx.hub._shelf import describe as describe
from metalcx.hub._shelf import list_models as list_models
from metalcx.hub._transfer import load_priors as load_priors
from metalcx.hub._transfer import save_priors as save_priors

__all__ = [
    "CLASSES",
    "Savable",
    "check_target",
    "describe",
    "list_models",
    "load",
    "load_base",
    "load_encoder",
    "load_priors",
    "save",
    "save_adapted",
    "save_encoder",
    "save_priors",
]
