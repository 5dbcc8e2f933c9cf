//! cgroups: what a container may use.
