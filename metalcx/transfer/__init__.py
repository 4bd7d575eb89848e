"""What carries over between datasets: source tasks, episodes, and meta-training over them."""

from metalcx.transfer._candidates import Candidates as Candidates
from metalcx.transfer._candidates import concat as concat_candidates
from metalcx.transfer._effects import Effects as Effects
from metalcx.transfer._feature_map import Characteristics as Characteristics
from metalcx.transfer._inner import ALGORITHMS as ALGORITHMS
from metalcx.transfer._inner import InnerConfig as InnerConfig
from metalcx.transfer._meta_train import MetaConfig as MetaConfig
from metalcx.transfer._meta_train import meta_train as meta_train
from metalcx.transfer._meta_train import train_on as train_on
from metalcx.transfer._ode_train import OdeMetaConfig as OdeMetaConfig
from metalcx.transfer._ode_train import meta_train_ode as meta_train_ode
from metalcx.transfer._pool import Pool as Pool
from metalcx.transfer._pool import PoolConfig as PoolConfig
from metalcx.transfer._pool import build_pool as build_pool
from metalcx.transfer._posterior import Posterior as Posterior
from metalcx.transfer._posterior import quantiles_of as quantiles_of
from metalcx.transfer._prior import DESIGNS as DESIGNS
from metalcx.transfer._prior import Prior as Prior
from metalcx.transfer._prior_fit import Trust as Trust
from metalcx.transfer._prior_fitter import PriorFitter as PriorFitter
from metalcx.transfer._rank_train import RankMetaConfig as RankMetaConfig
from metalcx.transfer._rank_train import meta_train_rank_net as meta_train_rank_net
from metalcx.transfer._sources import Source as Source
from metalcx.transfer._sources import Sources as Sources
from metalcx.transfer._sources import finals_of as finals_of
from metalcx.transfer._sources import normal_scores as normal_scores
from metalcx.transfer._sources import sources_of as sources_of
from metalcx.transfer._tasks import PreparedTask as PreparedTask
from metalcx.transfer._tasks import prepare as prepare
from metalcx.transfer._tasks import prepared as prepared
from metalcx.transfer._train import TrainConfig as TrainConfig
from metalcx.transfer._transfer_model import TransferModel as TransferModel

__all__ = [
    "ALGORITHMS",
    "DESIGNS",
    "Candidates",
    "Characteristics",
    "Effects",
    "InnerConfig",
    "MetaConfig",
    "OdeMetaConfig",
    "Pool",
    "PoolConfig",
    "Posterior",
    "PreparedTask",
    "Prior",
    "PriorFitter",
    "RankMetaConfig",
    "Source",
    "Sources",
    "TrainConfig",
    "TransferModel",
    "Trust",
    "build_pool",
    "concat_candidates",
    "finals_of",
    "meta_train",
    "meta_train_ode",
    "meta_train_rank_net",
    "normal_scores",
    "prepare",
    "prepared",
    "quantiles_of",
    "sources_of",
    "train_on",
]
