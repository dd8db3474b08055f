//! Objects in S3, and in whatever speaks its protocol (MinIO, Ceph, R2).
//!
//! *Invariant:* every request ends within a named time, whatever the network does; a name that was
//! created is never overwritten, because the store itself refuses it.
//!
//! Start with [`S3::open`]. Only this crate knows `object_store`. Callers are plain threads: the
//! requests run on a thread of their own, so that calling from inside a runtime is safe too.

mod error;
mod place;
mod s3;

pub use error::Error;
pub use place::{Access, Place};
pub use s3::S3;
