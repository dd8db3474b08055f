//! The log as its users see it: one test binary, so that it links once.

#[cfg(test)]
mod copying;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod stepped;
#[cfg(test)]
mod threads;
