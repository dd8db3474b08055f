//! The server's authorities and its own certificate, kept in the data folder.
//!
//! *Invariant:* a key is written before anything it signs leaves, in a file that only its owner can
//! read, aside first and then renamed, so that a crash never leaves half of one.
//!
//! ```text
//! ca/root.crt  ca/root.key                made at the first start
//! ca/ten_....-N.crt  ca/ten_....-N.key    one for the devices of each tenant, N grows
//! ca/seal.key                             the seal under decisions at gates (Ed25519), and what
//!                                         covers the secrets of webhooks is made of it
//! ca/server.crt  ca/server.key            what the listeners show, unless tls.certificate is set
//! ```

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use identity::Keyring;
use identity::certificate::Authority;
use identity::seal::SealKey;
use model::{Clock, TenantId};

/// Opens the authorities of a data folder; makes the root when there is none.
pub(super) fn open(data: &Path, clock: &dyn Clock) -> anyhow::Result<Keyring> {
    let folder = data.join("ca");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let root = match read(&folder.join("root"))? {
        Some(root) => root,
        None => {
            let root = Authority::root("iotbiz root", clock.now()).context("make the root")?;
            write(&folder.join("root"), &root).context("keep the root")?;
            root
        }
    };
    let mut kept = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let tenant = stem.split_once('-').and_then(|(tenant, _)| tenant.parse::<TenantId>().ok());
        let (Some(tenant), Some("crt")) = (tenant, path.extension().and_then(|e| e.to_str()))
        else {
            continue;
        };
        if let Some(authority) = read(&folder.join(&stem))? {
            kept.push((tenant, authority));
        }
    }
    Ok(Keyring::new(root, kept, move |tenant, authority| write(&free(&folder, tenant), authority)))
}

/// The seal of a data folder; made when there is none.
pub(super) fn seal(data: &Path) -> anyhow::Result<SealKey> {
    let path = data.join("ca").join("seal.key");
    if path.exists() {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        return SealKey::parse(&text).with_context(|| format!("use {}", path.display()));
    }
    let made = SealKey::generate().context("make the seal")?;
    secret(&path, made.secret().reveal()).with_context(|| format!("keep {}", path.display()))?;
    Ok(made)
}

/// The next free name for an authority of a tenant.
fn free(folder: &Path, tenant: TenantId) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let path = folder.join(format!("{tenant}-{number}"));
        if !with(&path, "crt").exists() {
            return path;
        }
        number += 1;
    }
}

fn with(path: &Path, extension: &str) -> PathBuf {
    // Not `with_extension`: a name may hold dots.
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// An authority as it was kept; none when there are no files.
fn read(path: &Path) -> anyhow::Result<Option<Authority>> {
    let (certificate, key) = (with(path, "crt"), with(path, "key"));
    if !certificate.exists() {
        return Ok(None);
    }
    let text =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    let authority = Authority::from_pem(&text(&certificate)?, &text(&key)?)
        .with_context(|| format!("use {}", certificate.display()))?;
    Ok(Some(authority))
}

fn write(path: &Path, authority: &Authority) -> std::io::Result<()> {
    // The certificate last: without its key it would be read and refused.
    secret(&with(path, "key"), authority.key_pem().reveal())?;
    secret(&with(path, "crt"), &authority.chain_pem())
}

/// Writes a file of the owner's only, durable before it is there under its name.
pub(super) fn secret(path: &Path, text: &str) -> std::io::Result<()> {
    let aside = with(path, "new");
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    let folder = path.parent().ok_or(std::io::ErrorKind::NotFound)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SystemClock;

    #[test]
    fn authorities_are_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let clock = SystemClock::new();
        let tenant = TenantId::from_u128(7);
        let first = open(folder.path(), &clock).unwrap();
        let made = first.of(tenant, clock.now()).unwrap();
        let second = open(folder.path(), &clock).unwrap();
        assert_eq!(first.root().certificate_der(), second.root().certificate_der());
        assert_eq!(
            second.of(tenant, clock.now()).unwrap().certificate_der(),
            made.certificate_der()
        );
        assert_eq!(first.certificates(), second.certificates());
    }

    #[test]
    fn the_seal_is_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), &SystemClock::new()).unwrap();
        let first = seal(folder.path()).unwrap();
        assert_eq!(seal(folder.path()).unwrap().public(), first.public());
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), &SystemClock::new()).unwrap();
        let key = folder.path().join("ca/root.key");
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
