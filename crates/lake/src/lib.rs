//! History of readings: Parquet files that a Delta log names, readable by other programs.
//!
//! *Invariant:* what is read does not depend on when it was flushed, merged or replayed.
