//! A claim: the right to bring so many new devices of one batch into a tenant.
//!
//! *Invariant:* it opens for provisioning only; each use is one serial number that nobody has
//! claimed before. The caller counts the use in the transaction that admits the device, so two
//! devices never share the last one.

use std::collections::BTreeSet;

use model::{ErrorKind, Timestamp};

/// The longest serial number of hardware.
pub const HARDWARE_SERIAL_CHARS_MAX: usize = 64;

/// The right to bring devices of one batch into a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How many devices it is for.
    pub uses_max: u32,
    /// How many have used it.
    pub uses: u32,
    /// When it ends.
    pub expires: Timestamp,
    /// The serial numbers of the batch; none: any.
    pub serials: Option<BTreeSet<String>>,
    /// The kind of device that is admitted.
    pub kind: String,
}

/// Whether a serial number belongs to a device already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// To none.
    Free,
    /// To one.
    Taken,
}

/// A device that wants in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applicant<'a> {
    /// What is printed on it.
    pub serial: &'a str,
    /// The kind of device it says it is; none: the claim's.
    pub kind: Option<&'a str>,
    /// Whether its serial number belongs to a device already.
    pub standing: Standing,
}

/// Why a device is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimRefusal {
    /// No serial number, or one that cannot be printed.
    #[error("a serial number is 1 to {max} visible ASCII characters")]
    MalformedSerial {
        /// [`HARDWARE_SERIAL_CHARS_MAX`].
        max: usize,
    },
    /// The batch ended.
    #[error("the claim expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Another product.
    #[error("the claim is for devices of kind {wanted:?}, not {got:?}")]
    WrongKind {
        /// What the claim is for.
        wanted: String,
        /// What the device says it is.
        got: String,
    },
    /// Not of this batch.
    #[error("serial number {serial:?} is not in the claim's list")]
    UnlistedSerial {
        /// What the device says.
        serial: String,
    },
    /// It was claimed before: a copy, or a device that was reset.
    #[error("serial number {serial:?} belongs to a device already")]
    SerialTaken {
        /// What the device says.
        serial: String,
    },
    /// More devices than the batch has.
    #[error("the claim was for {max} devices and all have used it")]
    UsedUp {
        /// How many it was for.
        max: u32,
    },
}

impl ClaimRefusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MalformedSerial { .. } => "malformed_serial",
            Self::Expired { .. } => "expired",
            Self::WrongKind { .. } => "wrong_kind",
            Self::UnlistedSerial { .. } => "unlisted_serial",
            Self::SerialTaken { .. } => "serial_taken",
            Self::UsedUp { .. } => "used_up",
        }
    }

    /// What the owner can do.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::MalformedSerial { .. } => "send the serial number as it is printed on the device",
            Self::Expired { .. } => "make a new claim for the rest of the batch",
            Self::WrongKind { .. } => "use the claim that was made for this kind of device",
            Self::UnlistedSerial { .. } => {
                "add the serial number to the claim's list, if the device is really of this batch"
            }
            Self::SerialTaken { .. } => {
                "look at both devices: one may be a copy; remove the first one if it was reset"
            }
            Self::UsedUp { .. } => {
                "count the batch: more devices were made than ordered; make a claim for the others"
            }
        }
    }

    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::MalformedSerial { .. } => ErrorKind::Invalid,
            Self::SerialTaken { .. } => ErrorKind::Conflict,
            Self::Expired { .. }
            | Self::WrongKind { .. }
            | Self::UnlistedSerial { .. }
            | Self::UsedUp { .. } => ErrorKind::Forbidden,
        }
    }
}

impl Claim {
    /// Whether the device may come in. The use is the caller's to count.
    ///
    /// # Errors
    /// It may not. A claim that ended says nothing else; a copied serial number is told before a
    /// batch that is used up, because it is the graver news.
    pub fn admit(&self, applicant: &Applicant<'_>, now: Timestamp) -> Result<(), ClaimRefusal> {
        let serial = applicant.serial;
        let printed = serial.bytes().all(|byte| byte.is_ascii_graphic());
        if serial.is_empty() || serial.len() > HARDWARE_SERIAL_CHARS_MAX || !printed {
            return Err(ClaimRefusal::MalformedSerial { max: HARDWARE_SERIAL_CHARS_MAX });
        }
        if now >= self.expires {
            return Err(ClaimRefusal::Expired { at: self.expires });
        }
        if let Some(kind) = applicant.kind.filter(|kind| *kind != self.kind) {
            let (wanted, got) = (self.kind.clone(), kind.to_owned());
            return Err(ClaimRefusal::WrongKind { wanted, got });
        }
        if self.serials.as_ref().is_some_and(|listed| !listed.contains(serial)) {
            return Err(ClaimRefusal::UnlistedSerial { serial: serial.to_owned() });
        }
        if applicant.standing == Standing::Taken {
            return Err(ClaimRefusal::SerialTaken { serial: serial.to_owned() });
        }
        if self.uses >= self.uses_max {
            return Err(ClaimRefusal::UsedUp { max: self.uses_max });
        }
        Ok(())
    }
}
