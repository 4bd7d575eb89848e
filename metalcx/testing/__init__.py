"""For authors of forecasters: does an implementation of `metalcx.protocol.Forecaster` keep the rules?

```python
from metalcx.testing import check_forecaster

print(check_forecaster(MyForecaster()))
```
"""

from metalcx.testing._check import RULES as RULES
from metalcx.testing._check import ForecasterRuleError as ForecasterRuleError
from metalcx.testing._check import RuleReport as RuleReport
from metalcx.testing._check import check_forecaster as check_forecaster
from metalcx.testing._synthetic import synthetic_curves as synthetic_curves

__all__ = ["RULES", "ForecasterRuleError", "RuleReport", "check_forecaster", "synthetic_curves"]
