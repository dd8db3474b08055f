//! Who is calling, and what they may do: tokens, roles, topic branches, the device door.
//!
//! *Invariant:* every decision goes through [`authorize`]; a secret is kept only as its hash and is
//! never printed. Nothing here does IO.
//!
//! Start with [`Door`] (a login becomes an [`Identity`]) and [`authorize`] (an identity may act).

mod access;
pub mod certificate;
mod door;
mod keyring;
mod revocation;
pub mod seal;
mod setup;
mod token;
pub mod topic;

pub use access::{Action, Actor, Denied, Identity, Resource, Role, RoleError, authorize};
pub use door::{
    AuthorityFacts, CREDENTIALS_PER_ACTOR_MAX, ClaimFacts, CredentialFacts, DeviceFacts, Door,
    Error, Owner, Proof, Refusal, RefusedLogin, UserFacts,
};
pub use keyring::{Keyring, KeyringError};
pub use revocation::{RECENT_REVOCATIONS_MAX, Revocation, Revocations};
pub use setup::{RefusedSetup, SETUP_ATTEMPTS_MAX, SETUP_VALID, Setup};
pub use token::{CredentialKind, HashError, SECRET_BYTES_MAX, SecretHash, Token};
