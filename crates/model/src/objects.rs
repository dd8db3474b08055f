//! What storage code needs of an object store, so that tests can lose answers and refuse writes.
//!
//! *Invariant:* an object is there whole or not at all, and it is durable once a put returned
//! without error. A put that returned an error may have happened all the same: only asking tells.

use std::fmt::Debug;
use std::io;
use std::ops::Range;

/// What a put does where there is an object of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Refuses with `AlreadyExists`, in one step with the write.
    Create,
    /// Takes its place.
    Replace,
}

/// Named objects below one prefix; names are parts joined by `/`.
pub trait Objects: Send + Sync + Debug {
    /// Where it is, for people: `s3://bucket/prefix`.
    fn place(&self) -> String;
    /// Length of an object in bytes.
    ///
    /// # Errors
    /// `NotFound`, or whatever the store says.
    fn size(&self, name: &str) -> io::Result<u64>;
    /// A part of an object; fewer bytes where it ends.
    ///
    /// # Errors
    /// `NotFound`, or whatever the store says.
    fn read(&self, name: &str, range: Range<u64>) -> io::Result<Vec<u8>>;
    /// All of an object.
    ///
    /// # Errors
    /// `NotFound`, or whatever the store says.
    fn read_all(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Writes an object.
    ///
    /// # Errors
    /// `AlreadyExists` for [`Put::Create`], or whatever the store says.
    fn put(&self, name: &str, bytes: Vec<u8>, put: Put) -> io::Result<()>;
    /// Begins an object that is too large for one put.
    ///
    /// # Errors
    /// Whatever the store says.
    fn upload(&self, name: &str) -> io::Result<Box<dyn Upload>>;
    /// Names of the objects directly in a folder, without the folder, sorted.
    ///
    /// # Errors
    /// Whatever the store says; a folder without objects is empty.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// Whatever the store says.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// An object that is written in parts; dropped before it is finished, it never was.
pub trait Upload: Send + Debug {
    /// Adds bytes; all parts but the last have 5 MiB or more.
    ///
    /// # Errors
    /// Whatever the store says.
    fn part(&mut self, bytes: Vec<u8>) -> io::Result<()>;
    /// Makes the object appear, whole and durable.
    ///
    /// # Errors
    /// Whatever the store says; the object may be there all the same.
    fn finish(self: Box<Self>) -> io::Result<()>;
}
