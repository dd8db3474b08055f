//! The lake from outside, on a simulated disk or store of objects.
//!
//! *Invariant:* each file tests one promise of the crate.

#[cfg(test)]
mod copying;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod export;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod history;
#[cfg(test)]
mod model_lake;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod released;
#[cfg(test)]
mod together;
