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
from metalcx.encoders._finetune import FinetuneConfig as FinetuneConfig
from metalcx.encoders._finetune import Labelled as Labelled
from metalcx.encoders._finetune import Ranker as Ranker
from metalcx.encoders._finetune import finetune as finetune
from metalcx.encoders._flow import FlowSurrogate as FlowSurrogate
from metalcx.encoders._flow import words_of as words_of
from metalcx.encoders._pretrain import PretrainConfig as PretrainConfig
from metalcx.encoders._pretrain import pretrain as pretrain
from metalcx.encoders._proxies import gradient_norm as gradient_norm
from metalcx.encoders._proxies import known_proxy as known_proxy
from metalcx.encoders._proxies import macs as macs
from metalcx.encoders._proxies import parameters as parameters
from metalcx.encoders._proxies import synflow as synflow

__all__ = [
    "GIN",
    "CountTable",
    "Encoder",
    "EncoderConfig",
    "FinetuneConfig",
    "FlowEncoder",
    "FlowSurrogate",
    "GatedGCN",
    "Graph",
    "GraphBatch",
    "GraphEncoder",
    "Labelled",
    "PretrainConfig",
    "Ranker",
    "finetune",
    "gradient_norm",
    "known_proxy",
    "macs",
    "new_encoder",
    "parameters",
    "pretrain",
    "synflow",
    "words_of",
]
