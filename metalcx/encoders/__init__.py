"""Architectures as vectors: the flow surrogate of a graph, encoders, their pre-training. Knows no curves or tasks."""

from metalcx.encoders._batch import Graph as Graph
from metalcx.encoders._batch import GraphBatch as GraphBatch
from metalcx.encoders._counts import CountTable as CountTable
from metalcx.encoders._encoder import GIN as GIN
from metalcx.encoders._encoder import Encoder as Encoder
from metalcx.encoders._encoder import EncoderConfig as EncoderConfig
from metalcx.encoders._encoder import FlowEncoder as FlowEncoder
from metalcx.encoders._encoder import GatedGCN as GatedGCN
from metalcx.encoders._encoder import GraphEncoder as GraphEncoder
from metalcx.encoders._encoder import new_encoder as new_encoder
from metalcx.encoders._ensemble import Ensemble as Ensemble
from metalcx.encoders._ensemble import finetune_ensemble as finetune_ensemble
from metalcx.encoders._finetune import Labelled as Labelled
from metalcx.encoders._finetune import finetune as finetune
from metalcx.encoders._flow import FlowSurrogate as FlowSurrogate
from metalcx.encoders._flow import words_of as words_of
from metalcx.encoders._pretrain import pretrain as pretrain
from metalcx.encoders._pretrain_config import PretrainConfig as PretrainConfig
from metalcx.encoders._ranker import FinetuneConfig as FinetuneConfig
from metalcx.encoders._ranker import Ranker as Ranker
from metalcx.encoders._ranking import standard_ranks as standard_ranks
from metalcx.encoders.proxies import Network as Network
from metalcx.encoders.proxies import fisher as fisher
from metalcx.encoders.proxies import gradient_norm as gradient_norm
from metalcx.encoders.proxies import jacob_cov as jacob_cov
from metalcx.encoders.proxies import kernels as kernels
from metalcx.encoders.proxies import known_proxies as known_proxies
from metalcx.encoders.proxies import known_proxy as known_proxy
from metalcx.encoders.proxies import macs as macs
from metalcx.encoders.proxies import nwot as nwot
from metalcx.encoders.proxies import parameters as parameters
from metalcx.encoders.proxies import snip as snip
from metalcx.encoders.proxies import synflow as synflow
from metalcx.encoders.proxies import zen as zen

__all__ = [
    "GIN",
    "CountTable",
    "Encoder",
    "EncoderConfig",
    "Ensemble",
    "FinetuneConfig",
    "FlowEncoder",
    "FlowSurrogate",
    "GatedGCN",
    "Graph",
    "GraphBatch",
    "GraphEncoder",
    "Labelled",
    "Network",
    "PretrainConfig",
    "Ranker",
    "finetune",
    "finetune_ensemble",
    "fisher",
    "gradient_norm",
    "jacob_cov",
    "kernels",
    "known_proxies",
    "known_proxy",
    "macs",
    "new_encoder",
    "nwot",
    "parameters",
    "pretrain",
    "snip",
    "standard_ranks",
    "synflow",
    "words_of",
    "zen",
]
