"""metalcx: learning curves of networks on a dataset never seen before, forecast from what other datasets taught."""

__version__ = "0.1.0"
