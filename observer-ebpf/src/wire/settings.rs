//! Globals that the agent sets before it loads the probes.
