"""The HTTP door of Trunkline: REST calls in, committed and published events out, the state of jobs back."""
