"""Forecasters behind one protocol: the simple baselines, SRM, boosted trees and what is meta-trained."""

from metalcx.forecasters._base import BaseForecaster as BaseForecaster
from metalcx.forecasters._latent_kronecker import LatentKroneckerGP as LatentKroneckerGP
from metalcx.forecasters._one_epoch import OneEpoch as OneEpoch
from metalcx.forecasters._power_law import PowerLaw as PowerLaw
from metalcx.forecasters._simple import Baseline as Baseline
from metalcx.forecasters._srm import SRM as SRM

__all__ = ["SRM", "BaseForecaster", "Baseline", "LatentKroneckerGP", "OneEpoch", "PowerLaw"]
