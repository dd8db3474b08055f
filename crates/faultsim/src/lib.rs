//! faultsim
