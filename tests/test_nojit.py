"""Without compilation, for a debugger, the kernels give the same results."""

from __future__ import annotations

import json

import numpy as np
import reference


def test_without_compilation(run_python, dtype):
    code = f"import json, reference; print(json.dumps(reference.train_everything({dtype.name!r})))"
    done = run_python(code, NUMBA_DISABLE_JIT="1")
    assert done.stderr == ""
    # Nine updates of sums in another order (NumPy has no fused multiply-add): some eps each.
    comp, ref = json.loads(done.stdout), reference.train_everything(dtype.name)
    np.testing.assert_allclose(comp, ref, rtol=50 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)
