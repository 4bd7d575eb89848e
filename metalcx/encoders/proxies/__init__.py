"""Zero-cost proxies: what can be said of an untrained network, or of a graph of which no network is known."""

from metalcx.encoders.proxies._activity import nwot as nwot
from metalcx.encoders.proxies._activity import zen as zen
from metalcx.encoders.proxies._gradients import fisher as fisher
from metalcx.encoders.proxies._gradients import gradient_norm as gradient_norm
from metalcx.encoders.proxies._gradients import jacob_cov as jacob_cov
from metalcx.encoders.proxies._gradients import snip as snip
from metalcx.encoders.proxies._known import PROXIES as PROXIES
from metalcx.encoders.proxies._known import kernels as kernels
from metalcx.encoders.proxies._known import known_proxies as known_proxies
from metalcx.encoders.proxies._known import known_proxy as known_proxy
from metalcx.encoders.proxies._known import macs as macs
from metalcx.encoders.proxies._known import parameters as parameters
from metalcx.encoders.proxies._network import Network as Network
from metalcx.encoders.proxies._synflow import synflow as synflow

__all__ = [
    "PROXIES",
    "Network",
    "fisher",
    "gradient_norm",
    "jacob_cov",
    "kernels",
    "known_proxies",
    "known_proxy",
    "macs",
    "nwot",
    "parameters",
    "snip",
    "synflow",
    "zen",
]
