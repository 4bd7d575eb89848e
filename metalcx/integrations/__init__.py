"""Forecasts inside the tools in which people train: each module translates one host's names and judges nothing.

- `metalcx.integrations.loop`: any training loop
- `metalcx.integrations.optuna`: a pruner
- `metalcx.integrations.ray`: a stopper and a scheduler of Ray Tune
- `metalcx.integrations.lightning`, `metalcx.integrations.huggingface`, `metalcx.integrations.keras`: a callback each
- `metalcx.integrations.sklearn`: a regressor

A host is loaded when its module is imported, never by this package. All of them ask one
`metalcx.decide.StopPolicy`; the metric's name, goal and bounds are declared by the person or by the host.
"""
