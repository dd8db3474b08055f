//! `notify.state`: the queue on disk.
//!
//! *Invariant:* written aside, synced, renamed, directory synced, so the name always leads to a
//! whole state; a damaged or newer file is refused and left as it is.
//!
//! ```text
//! iotbiz-notify 1 <sha256 of the rest, hex>\n
//! <the queue as JSON>
//! ```

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Disk, Open};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, at};
use crate::queue::Queue;

const MAGIC: &str = "iotbiz-notify";
const FORMAT: u32 = 1;
/// The largest state that is read.
const STATE_BYTES_MAX: u64 = 1 << 30;

/// Where the state lives.
#[derive(Debug, Clone)]
pub(crate) struct StateFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn encode(queue: &Queue) -> Vec<u8> {
    let content = serde_json::to_vec(queue).expect("the queue has only text keys and numbers");
    let mut bytes = format!("{MAGIC} {FORMAT} {}\n", hash(&content)).into_bytes();
    bytes.extend_from_slice(&content);
    bytes
}

pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Queue, Error> {
    let damaged = |why: &str| Error::Damaged { path: path.to_owned(), why: why.to_owned() };
    let end = bytes.iter().take(200).position(|byte| *byte == b'\n');
    let (head, content) = end
        .and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 1..)?)))
        .ok_or_else(|| damaged("it has no first line"))?;
    let head = std::str::from_utf8(head).map_err(|_not| damaged("its first line is no text"))?;
    let mut words = head.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(damaged("it does not begin with iotbiz-notify"));
    }
    let format = words.next().and_then(|word| word.parse().ok());
    let found: u32 = format.ok_or_else(|| damaged("it names no format"))?;
    if found != FORMAT {
        return Err(Error::Format { path: path.to_owned(), found, known: FORMAT });
    }
    if words.next() != Some(hash(content).as_str()) {
        return Err(damaged("its hash is another"));
    }
    let mut queue: Queue =
        serde_json::from_slice(content).map_err(|error| damaged(&error.to_string()))?;
    queue.wake();
    Ok(queue)
}

impl StateFile {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { disk, dir: dir.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("notify.state")
    }

    /// What was written last; an empty queue when there is no file.
    pub(crate) fn read(&self) -> Result<Queue, Error> {
        self.disk.create_dir_all(&self.dir).map_err(at("make", &self.dir))?;
        let path = self.path();
        let file = match self.disk.open(&path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Queue::default()),
            Err(error) => return Err(at("open", &path)(error)),
        };
        let len = file.len().map_err(at("read", &path))?;
        let size = usize::try_from(len).ok().filter(|_| len <= STATE_BYTES_MAX);
        let size = size.ok_or_else(|| {
            let why = format!("{len} bytes exceed state_bytes_max = {STATE_BYTES_MAX}");
            Error::Damaged { path: path.clone(), why }
        })?;
        let mut bytes = vec![0; size];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let offset = u64::try_from(done).unwrap_or(u64::MAX);
            match file.read_at(rest, offset).map_err(at("read", &path))? {
                0 => break,
                count => done += count,
            }
        }
        bytes.truncate(done);
        decode(&path, &bytes)
    }

    /// Makes these bytes the state.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let aside = self.dir.join("notify.state.tmp");
        match self.disk.remove(&aside) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(at("remove", &aside)(error)),
        }
        let file = self.disk.open(&aside, Open::CreateNew).map_err(at("create", &aside))?;
        file.write_at(bytes, 0).map_err(at("write", &aside))?;
        file.sync_data().map_err(at("sync", &aside))?;
        self.disk.rename(&aside, &self.path()).map_err(at("rename", &aside))?;
        self.disk.sync_dir(&self.dir).map_err(at("sync", &self.dir))
    }
}

#[cfg(test)]
mod tests {
    use faultsim::{Fault, Op, SimDisk};
    use model::{Offset, Timestamp};

    use super::*;
    use crate::example::{TENANT, notification};
    use crate::policy::Policy;

    fn queue(count: u64) -> Queue {
        let text = "[person.ada]\nroles = [\"operator\"]\nchannels = [\"mqtt\"]\nmqtt = \"a\"";
        let policy = Policy::from_toml(TENANT, text).unwrap();
        let mut queue = Queue::default();
        for number in 1..=count {
            queue.accept(&policy, (Offset(number), notification(number)), Timestamp::ZERO);
        }
        queue
    }

    fn file(disk: &SimDisk) -> StateFile {
        StateFile::new(Arc::new(disk.clone()), Path::new("/data"))
    }

    #[test]
    fn a_crash_leaves_the_old_state_or_the_new_one() {
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            file(&disk).read().unwrap();
            let (old, new) = (encode(&queue(1)), encode(&queue(9)));
            file(&disk).write(&old).unwrap();
            disk.power_off_after(seed % 8);
            let _off = file(&disk).write(&new).is_err();
            disk.crash();
            let found = encode(&file(&disk).read().unwrap());
            assert!(found == old || found == new, "seed {seed}");
        }
    }

    #[test]
    fn a_full_disk_leaves_the_old_state_and_the_next_write_works() {
        let disk = SimDisk::new(1);
        file(&disk).read().unwrap();
        file(&disk).write(&encode(&queue(1))).unwrap();
        disk.fail(Op::Write, 0, Fault::Full);
        file(&disk).write(&encode(&queue(2))).unwrap_err();
        assert_eq!(encode(&file(&disk).read().unwrap()), encode(&queue(1)));
        file(&disk).write(&encode(&queue(2))).unwrap();
        assert_eq!(encode(&file(&disk).read().unwrap()), encode(&queue(2)));
    }

    #[test]
    fn a_flipped_bit_and_a_newer_format_are_refused() {
        let path = Path::new("notify.state");
        let bytes = encode(&queue(3));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(path, &damaged).is_err(), "byte {at}");
            assert!(decode(path, &bytes[..at]).is_err(), "cut at {at}");
        }
        let newer = String::from_utf8(bytes).unwrap().replacen(" 1 ", " 2 ", 1);
        let error = decode(path, newer.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "notify.state has format 2, this program reads up to 1");
    }
}
