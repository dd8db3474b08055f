//! One file a command.

pub(crate) mod apply;
pub(crate) mod bill;
pub(crate) mod ca;
pub(crate) mod case;
pub(crate) mod check;
pub(crate) mod claim;
pub(crate) mod command;
pub(crate) mod connect;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod erase;
pub(crate) mod eval;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod gate;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod quarantine;
pub(crate) mod rule;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod simulate;
pub(crate) mod tail;
pub(crate) mod token;
