//! Backups of a data folder: taking one beside a running server, checking it, restoring it.
//!
//! *Invariant:* a backup exists when its manifest and the manifest's checksum do; everything either
//! names was durable before. Taking one changes nothing in the data folder.
//!
//! ```text
//! DIR/backups/2026-11-29T20-00-00-000Z.json      manifest: what there was, file by file
//! DIR/backups/2026-11-29T20-00-00-000Z.sha256    its checksum; without it there is no backup
//! DIR/files/ab/cdef...                           each content once, named by its SHA-256
//! DIR/erased.jsonl                               whom the server was told to forget
//! DIR/new/                                       being written; emptied at the next backup
//! ```
//! Contents are shared by the backups of a folder, so the next one adds what is new, and a kill in
//! the middle of it leaves the ones before as they were. FILE.tar and FILE.tar.zst are such a
//! folder with one backup, packed.

pub(crate) mod archive;
pub(crate) mod drill;
pub(crate) mod erased;
pub(crate) mod manifest;
pub(crate) mod restore;
pub(crate) mod shelf;
pub(crate) mod sources;
pub(crate) mod take;
