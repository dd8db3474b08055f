//! The words every other crate shares: ids, time, money, readings, frames and the few traits that
//! let the same code run on a real disk and clock or on simulated ones.
//!
//! *Invariant:* nothing here does IO, reads a clock or knows a file format other than the frame's.
//!
//! Start with [`Frame`] (what the log holds), [`Reading`] (what a device said) and
//! [`Projection`] (what may be made of them).

mod clock;
mod disk;
mod error;
mod frame;
mod id;
mod money;
mod name;
mod objects;
mod projection;
mod reading;
mod returned;
mod severity;
mod time;
pub mod wire;

pub use clock::{Clock, SystemClock};
pub use disk::{Disk, DiskFile, Open};
pub use error::{ErrorKind, Retry};
pub use frame::{
    Channel, Decided, Erased, Frame, FrameError, Offset, OutputFrame, OutputKey, Principal, Qos,
    Raw, Record, Redecode, Retain, SessionFrame,
};
pub use id::{
    AlarmId, AuthorityId, ClaimId, CommandId, ContractId, CostId, CredentialId, CustomerId,
    DeviceId, EvidenceId, GateDecisionId, IdError, IdeaId, InvoiceId, MaintenanceId, SiteId,
    TenantId, UserId, VentureId,
};
pub use money::{Currency, Money, MoneyError, Price};
pub use name::{Name, NameError};
pub use objects::{Objects, Put, Upload};
pub use projection::{
    FoldId, Input, Notice, Output, Outputs, Projection, RestoreError, Step, Timer,
};
pub use reading::{Origin, OriginError, Reading, ReadingMark, Value};
pub use returned::{ReturnReason, ReturnReasonError, Returned};
pub use severity::{Severity, SeverityError};
pub use time::{Timestamp, TimestampError};
