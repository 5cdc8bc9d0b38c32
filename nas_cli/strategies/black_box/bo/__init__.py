"""Bayesian optimisation, on BoTorch's and GPyTorch's acquisitions, kernels and optimisers."""

import warnings

# GPyTorch compiles a function with it while it is imported; there is nothing that a user could do about that.
warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", FutureWarning)
