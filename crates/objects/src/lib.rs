//! Objects in S3, and in whatever speaks its protocol (MinIO, Ceph, R2).
//!
//! *Invariant:* every request ends within a named time, whatever the network does; a name that was
//! created is never overwritten, because the store itself refuses it.
//!
//! Start with [`S3::new`]. Seven requests of the protocol are all that history needs, so they are
//! made here: signed (`sign`), sent and repeated (`wire`), answers read (`xml`).

mod error;
mod place;
mod s3;
mod sign;
mod wire;
mod xml;

pub use error::Error;
pub use place::{Access, Place};
pub use s3::S3;
