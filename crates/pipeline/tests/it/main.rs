//! The driver and the relay as their users see them: one test binary, so that it links once.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod full;
#[cfg(test)]
mod lanes;
#[cfg(test)]
mod past;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod site;
