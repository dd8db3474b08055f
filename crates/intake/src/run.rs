//! A run: a sorted file of rows that never changes.
//!
//! *Invariant:* rows are in order of (key, a, b); each page has its checksum, so a damaged one is
//! loud. A run is whole or not there: it is written aside and renamed.
//!
//! ```text
//! rows      32 bytes each: key u128, a u64, b u64, little-endian; 128 a page
//! filter    u64 words
//! fences    for each page: first key u128, CRC32C of its bytes u32
//! trailer   rows u64, filter words u64, pages u64, CRC32C of filter and fences u32, "RUN1"
//! ```

use std::path::{Path, PathBuf};

use model::{Disk, DiskFile, Open};

use crate::Error;
use crate::bloom::Bloom;

pub(crate) const ROW_BYTES: usize = 32;
const PAGE_ROWS: usize = 128;
const PAGE_BYTES: usize = PAGE_ROWS * ROW_BYTES;
const FENCE_BYTES: usize = 20;
const TRAILER_BYTES: usize = 32;
const MAGIC: &[u8; 4] = b"RUN1";
/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;
/// Pages that are read at once where all of them are.
const READ_PAGES: usize = 64;

/// A key with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) key: u128,
    pub(crate) a: u64,
    pub(crate) b: u64,
}

impl Row {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.a.to_le_bytes());
        out.extend_from_slice(&self.b.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            key: u128::from_le_bytes(bytes.get(..16)?.try_into().ok()?),
            a: u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?),
            b: u64::from_le_bytes(bytes.get(24..32)?.try_into().ok()?),
        })
    }
}

/// Whether questions for single keys are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Yes: a filter saves most of them.
    ByKey,
    /// No, only for ranges.
    ByRange,
}

/// A sorted file.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) path: PathBuf,
    pub(crate) rows: u64,
    file: Box<dyn DiskFile>,
    bloom: Option<Bloom>,
    fences: Vec<u128>,
    checks: Vec<u32>,
}

fn disk(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |source| Error::Disk { path: path.to_owned(), source }
}

fn size(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Reads exactly so many bytes.
pub(crate) fn exactly(
    (file, path): (&dyn DiskFile, &Path),
    buffer: &mut [u8],
    from: u64,
) -> Result<(), Error> {
    let mut at = 0;
    while let Some(rest) = buffer.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let place = from + size(at);
        match file.read_at(rest, place).map_err(disk(path))? {
            0 => return Err(Error::Damaged { path: path.to_owned(), at: place }),
            read => at += read,
        }
    }
    Ok(())
}

/// Writes rows that come in order, at most `rows_max` of them; the run is durable then.
pub(crate) fn write(
    on: &dyn Disk,
    path: &Path,
    (rows, rows_max): (&mut dyn Iterator<Item = Result<Row, Error>>, u64),
    asked: Asked,
) -> Result<Run, Error> {
    let aside = path.with_extension("new");
    match on.remove(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::Disk { path: aside, source: error });
        }
        Ok(()) | Err(_) => {}
    }
    let file = on.open(&aside, Open::CreateNew).map_err(disk(&aside))?;
    let mut writing = Writing {
        file: file.as_ref(),
        path: &aside,
        out: Vec::with_capacity(WRITE_BYTES + PAGE_BYTES),
        at: 0,
        page: Vec::with_capacity(PAGE_BYTES),
        rows: 0,
        bloom: (asked == Asked::ByKey).then(|| Bloom::of(rows_max)),
        fences: Vec::new(),
        checks: Vec::new(),
    };
    for row in rows {
        writing.row(&row?)?;
    }
    writing.end()?;
    file.sync_data().map_err(disk(&aside))?;
    drop(file);
    on.rename(&aside, path).map_err(disk(path))?;
    if let Some(folder) = path.parent() {
        on.sync_dir(folder).map_err(disk(folder))?;
    }
    Run::open(on, path)
}

struct Writing<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    out: Vec<u8>,
    at: u64,
    page: Vec<u8>,
    rows: u64,
    bloom: Option<Bloom>,
    fences: Vec<u128>,
    checks: Vec<u32>,
}

impl Writing<'_> {
    fn row(&mut self, row: &Row) -> Result<(), Error> {
        if self.page.is_empty() {
            self.fences.push(row.key);
        }
        row.put(&mut self.page);
        self.rows += 1;
        if let Some(bloom) = &mut self.bloom {
            bloom.add(row.key);
        }
        if self.page.len() == PAGE_BYTES { self.page_ends() } else { Ok(()) }
    }

    fn page_ends(&mut self) -> Result<(), Error> {
        if self.page.is_empty() {
            return Ok(());
        }
        self.checks.push(crc32c::crc32c(&self.page));
        self.out.append(&mut self.page);
        if self.out.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.write_at(&self.out, self.at).map_err(disk(self.path))?;
        self.at += size(self.out.len());
        self.out.clear();
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        self.page_ends()?;
        self.flush()?;
        let words = self.bloom.as_ref().map_or(&[][..], Bloom::words);
        let (words_count, pages) = (size(words.len()), size(self.fences.len()));
        for word in words {
            self.out.extend_from_slice(&word.to_le_bytes());
        }
        for (fence, check) in self.fences.iter().zip(&self.checks) {
            self.out.extend_from_slice(&fence.to_le_bytes());
            self.out.extend_from_slice(&check.to_le_bytes());
        }
        let check = crc32c::crc32c(&self.out);
        for number in [self.rows, words_count, pages] {
            self.out.extend_from_slice(&number.to_le_bytes());
        }
        self.out.extend_from_slice(&check.to_le_bytes());
        self.out.extend_from_slice(MAGIC);
        self.flush()
    }
}

impl Run {
    /// Reads what stands behind the rows.
    pub(crate) fn open(on: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let file = on.open(path, Open::Read).map_err(disk(path))?;
        let length = file.len().map_err(disk(path))?;
        let damaged = |at: u64| Error::Damaged { path: path.to_owned(), at };
        let trailer_at = length.checked_sub(size(TRAILER_BYTES)).ok_or_else(|| damaged(0))?;
        let mut trailer = [0; TRAILER_BYTES];
        exactly((file.as_ref(), path), &mut trailer, trailer_at)?;
        let number = |at: usize| {
            let bytes = trailer.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_le_bytes).unwrap_or_default()
        };
        let (rows, words, pages) = (number(0), number(8), number(16));
        let check = trailer.get(24..28).and_then(|bytes| bytes.try_into().ok());
        let behind = words.checked_mul(8).zip(pages.checked_mul(size(FENCE_BYTES)));
        let behind = behind.and_then(|(words, fences)| words.checked_add(fences));
        let begins = rows.checked_mul(size(ROW_BYTES));
        let fits = begins.zip(behind).and_then(|(a, b)| a.checked_add(b)) == Some(trailer_at);
        let (Some(begins), Some(behind), true) = (begins, behind, fits) else {
            return Err(damaged(trailer_at));
        };
        if trailer.get(28..) != Some(&MAGIC[..]) {
            return Err(damaged(trailer_at));
        }
        let mut bytes = vec![0; usize::try_from(behind).map_err(|_| damaged(begins))?];
        exactly((file.as_ref(), path), &mut bytes, begins)?;
        if Some(crc32c::crc32c(&bytes)) != check.map(u32::from_le_bytes) {
            return Err(damaged(begins));
        }
        let split = usize::try_from(words * 8).map_err(|_| damaged(begins))?;
        let (filter, fenced) = bytes.split_at(split);
        let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
        let filter: Vec<u64> = filter.chunks_exact(8).map(word).collect();
        let mut fences = Vec::with_capacity(fenced.len() / FENCE_BYTES);
        let mut checks = Vec::with_capacity(fenced.len() / FENCE_BYTES);
        for fence in fenced.chunks_exact(FENCE_BYTES) {
            let (key, check) = fence.split_at(16);
            fences.push(key.try_into().map(u128::from_le_bytes).unwrap_or_default());
            checks.push(check.try_into().map(u32::from_le_bytes).unwrap_or_default());
        }
        let bloom = (words > 0).then(|| Bloom::from_words(filter));
        Ok(Self { path: path.to_owned(), rows, file, bloom, fences, checks })
    }

    /// The rows of a page, checked.
    fn page(&self, page: usize, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let from = size(page) * size(PAGE_BYTES);
        let length = (self.rows * size(ROW_BYTES) - from).min(size(PAGE_BYTES));
        buffer.resize(usize::try_from(length).unwrap_or(PAGE_BYTES), 0);
        exactly((self.file.as_ref(), &self.path), buffer, from)?;
        if Some(&crc32c::crc32c(buffer)) != self.checks.get(page) {
            return Err(Error::Damaged { path: self.path.clone(), at: from });
        }
        Ok(())
    }

    /// The first row of a key.
    pub(crate) fn get(&self, key: u128, buffer: &mut Vec<u8>) -> Result<Option<Row>, Error> {
        if self.bloom.as_ref().is_some_and(|bloom| !bloom.may_have(key)) {
            return Ok(None);
        }
        let Some(page) = self.fences.partition_point(|fence| *fence <= key).checked_sub(1) else {
            return Ok(None);
        };
        self.page(page, buffer)?;
        let rows: Vec<Row> = buffer.chunks_exact(ROW_BYTES).filter_map(Row::read).collect();
        let at = rows.partition_point(|row| row.key < key);
        Ok(rows.get(at).filter(|row| row.key == key).copied())
    }

    /// All rows whose key is in `from..to`, in order.
    pub(crate) fn range(
        &self,
        (from, to): (u128, u128),
        each: &mut dyn FnMut(Row),
    ) -> Result<(), Error> {
        let first = self.fences.partition_point(|fence| *fence < from).saturating_sub(1);
        let mut buffer = Vec::new();
        for (page, fence) in self.fences.iter().enumerate().skip(first) {
            if *fence >= to {
                break;
            }
            self.page(page, &mut buffer)?;
            let rows = buffer.chunks_exact(ROW_BYTES).filter_map(Row::read);
            rows.filter(|row| (from..to).contains(&row.key)).for_each(&mut *each);
        }
        Ok(())
    }

    /// All rows, in order.
    pub(crate) fn all(&self) -> Rows<'_> {
        Rows { run: self, page: 0, rows: Vec::new().into_iter() }
    }
}

/// Rows of a run, some pages at a time.
pub(crate) struct Rows<'a> {
    run: &'a Run,
    page: usize,
    rows: std::vec::IntoIter<Row>,
}

impl Rows<'_> {
    fn more(&mut self) -> Result<(), Error> {
        let mut rows = Vec::with_capacity(READ_PAGES * PAGE_ROWS);
        let mut buffer = Vec::with_capacity(PAGE_BYTES);
        let end = (self.page + READ_PAGES).min(self.run.fences.len());
        for page in self.page..end {
            self.run.page(page, &mut buffer)?;
            rows.extend(buffer.chunks_exact(ROW_BYTES).filter_map(Row::read));
        }
        self.page = end;
        self.rows = rows.into_iter();
        Ok(())
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.rows.next() {
            return Some(Ok(row));
        }
        if self.page >= self.run.fences.len() {
            return None;
        }
        match self.more() {
            Ok(()) => self.rows.next().map(Ok),
            Err(error) => {
                self.page = self.run.fences.len();
                Some(Err(error))
            }
        }
    }
}
