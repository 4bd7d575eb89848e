"""What carries over between datasets: source tasks, episodes, and meta-training over them."""

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
from metalcx.transfer._rank_train import RankMetaConfig as RankMetaConfig
from metalcx.transfer._rank_train import meta_train_rank_net as meta_train_rank_net
from metalcx.transfer._tasks import PreparedTask as PreparedTask
from metalcx.transfer._tasks import prepare as prepare
from metalcx.transfer._tasks import prepared as prepared
from metalcx.transfer._train import TrainConfig as TrainConfig

__all__ = [
    "ALGORITHMS",
    "InnerConfig",
    "MetaConfig",
    "OdeMetaConfig",
    "Pool",
    "PoolConfig",
    "PreparedTask",
    "RankMetaConfig",
    "TrainConfig",
    "build_pool",
    "meta_train",
    "meta_train_ode",
    "meta_train_rank_net",
    "prepare",
    "prepared",
    "train_on",
]
