//! Parquet files: written with the smaller encoding of each column, read by device.
//!
//! *Invariant:* rows of a file are sorted by device, then time. A file is used only after its
//! footer counted as many rows as were written.
//!
//! Pages are small and indexed by device, so one device's day costs a page or two of each column
//! that is asked for.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use model::DeviceId;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

use crate::columns::{self, Alike, Columns, DEVICE, TIME, Whose};
use crate::merge::{Rows, Stored};
use crate::store::{FileReader, Store, Verified, Written};
use crate::{Error, Stamp};

/// Rows of a row group: dictionaries are shared within it, and an encoder holds one in memory.
const GROUP_ROWS: usize = 131_072;
/// Rows of a page: a device's day at one reading a minute lies in one or two, and larger pages
/// compress little better.
const PAGE_ROWS: usize = 8_192;
/// Rows that are turned into columns at once.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// Rows on which encodings are tried before a file is started.
const SAMPLE_ROWS: usize = 2 * BATCH_ROWS;

/// How hard to press a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For files that are soon merged: not at all. The encodings do most of it, and setting up a
    /// decoder takes longer than reading such a file.
    Quick,
    /// For files that stay: slower to write, the smallest.
    Thorough,
}

impl Effort {
    fn compression(self) -> Compression {
        match self {
            Self::Quick => Compression::UNCOMPRESSED,
            Self::Thorough => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()),
        }
    }
}

/// Beyond it days take several times as long, for two bytes in a hundred.
const ZSTD_LEVEL: i32 = 9;

/// Writes batches as one file, which must not exist yet.
pub(crate) fn write(
    store: &Store,
    name: &str,
    schema: &SchemaRef,
    effort: Effort,
    batches: &mut dyn Iterator<Item = Result<RecordBatch, Error>>,
) -> Result<Written, Error> {
    let mut sample = VecDeque::new();
    let mut sampled = 0;
    while sampled < SAMPLE_ROWS
        && let Some(batch) = batches.next().transpose()?
    {
        sampled += batch.num_rows();
        sample.push_back(batch);
    }
    let properties = properties(schema, effort, sample.make_contiguous())?;
    let mut sink = store.create(name)?;
    let path = sink.path().to_owned();
    let failed = |error| {
        let ParquetError::External(source) = error else {
            return Error::encode("a Parquet file", error);
        };
        match source.downcast::<std::io::Error>() {
            Ok(source) => Error::Disk { verb: "write", path: path.clone(), source: *source },
            Err(source) => Error::Encode { what: "a Parquet file", source },
        }
    };
    let mut writer =
        ArrowWriter::try_new(&mut sink, Arc::clone(schema), Some(properties)).map_err(&failed)?;
    let mut rows = 0;
    for batch in sample.into_iter().map(Ok).chain(batches) {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(&failed)?;
    }
    let footer = writer.close().map_err(&failed)?;
    let counted = footer.file_metadata().num_rows().cast_unsigned();
    assert_eq!(counted, rows, "the footer of a new file counts other rows than were written");
    sink.finish()
}

/// Encodings by type, and for numbers by what is smaller on a sample.
pub(crate) fn properties(
    schema: &Schema,
    effort: Effort,
    sample: &[RecordBatch],
) -> Result<WriterProperties, Error> {
    let mut builder = WriterProperties::builder()
        .set_compression(effort.compression())
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_created_by("iotbiz".to_owned())
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for (at, field) in schema.fields().iter().enumerate() {
        let path = vec![field.name().clone()];
        let arrays: Vec<ArrayRef> = sample.iter().map(|b| Arc::clone(b.column(at))).collect();
        builder = column(builder, &path, field.data_type(), (effort, &arrays))?;
    }
    // A few runs of equal values each, so there is nothing to press and much to set up.
    for name in columns::ALIKE.into_iter().chain([DEVICE]) {
        let path = ColumnPath::from(name);
        builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
    }
    // Pages are chosen by these two.
    for name in [DEVICE, TIME] {
        let path = ColumnPath::from(name);
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Page);
    }
    Ok(builder.build())
}

fn column(
    builder: WriterPropertiesBuilder,
    path: &[String],
    data: &DataType,
    (effort, sample): (Effort, &[ArrayRef]),
) -> Result<WriterPropertiesBuilder, Error> {
    let plain = |builder: WriterPropertiesBuilder, path: &[String], encoding| {
        let path = ColumnPath::new(path.to_vec());
        let builder = builder.set_column_dictionary_enabled(path.clone(), false);
        builder.set_column_encoding(path, encoding)
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's default is right")]
    let builder = match data {
        DataType::Timestamp(..) | DataType::Int64 => {
            plain(builder, path, Encoding::DELTA_BINARY_PACKED)
        }
        DataType::Boolean => plain(builder, path, Encoding::RLE),
        DataType::Float64 if smaller_split(effort, sample)? => {
            plain(builder, path, Encoding::BYTE_STREAM_SPLIT)
        }
        DataType::Struct(fields) => {
            let mut builder = builder;
            for (at, field) in fields.iter().enumerate() {
                let part = |a: &ArrayRef| {
                    let whole = a.as_any().downcast_ref::<StructArray>()?;
                    Some(Arc::clone(whole.column(at)))
                };
                let parts: Vec<ArrayRef> = sample.iter().filter_map(part).collect();
                let mut path = path.to_vec();
                path.push(field.name().clone());
                builder = column(builder, &path, field.data_type(), (effort, &parts))?;
            }
            builder
        }
        _ => builder,
    };
    Ok(builder)
}

/// Whether numbers take less space split into streams of bytes than as a dictionary.
fn smaller_split(effort: Effort, sample: &[ArrayRef]) -> Result<bool, Error> {
    if sample.iter().all(|array| array.null_count() == array.len()) {
        return Ok(false);
    }
    let size = |dictionary: Option<Encoding>| -> Result<usize, Error> {
        let builder = WriterProperties::builder()
            .set_compression(effort.compression())
            .set_statistics_enabled(EnabledStatistics::None)
            .set_dictionary_enabled(dictionary.is_none());
        let builder = match dictionary {
            Some(encoding) => builder.set_encoding(encoding),
            None => builder,
        };
        let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Float64, true)]));
        let mut bytes = Vec::new();
        let failed = |error| Error::encode("a sample", error);
        let mut writer =
            ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), Some(builder.build()))
                .map_err(failed)?;
        for array in sample {
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(array)]);
            let batch = batch.map_err(|error| Error::encode("a sample", error))?;
            writer.write(&batch).map_err(failed)?;
        }
        writer.close().map_err(failed)?;
        Ok(bytes.len())
    };
    Ok(size(Some(Encoding::BYTE_STREAM_SPLIT))? < size(None)?)
}

/// What all rows of a file have in common, by the statistics of its columns.
fn alike(metadata: &ParquetMetaData) -> Option<Alike> {
    let one = |name: &str| -> Option<&Statistics> {
        let mut found: Option<&Statistics> = None;
        for group in metadata.row_groups() {
            let column = group.columns().iter().find(|c| c.column_path().string() == name)?;
            let stats = column.statistics()?;
            let exact = stats.min_is_exact() && stats.max_is_exact();
            if !exact || stats.min_bytes_opt() != stats.max_bytes_opt() {
                return None;
            }
            if found.is_some_and(|found| found.min_bytes_opt() != stats.min_bytes_opt()) {
                return None;
            }
            found = Some(stats);
        }
        found
    };
    let Statistics::Int32(index) = one(columns::INDEX)? else { return None };
    let Statistics::Boolean(device_time) = one(columns::DEVICE_TIME)? else { return None };
    let origin = std::str::from_utf8(one(columns::ORIGIN)?.min_bytes_opt()?).ok()?;
    let never = metadata.row_groups().iter().all(|group| {
        let mut columns = group.columns().iter();
        let source = columns.find(|c| c.column_path().string() == columns::SOURCE);
        let nulls = source.and_then(|column| column.statistics()?.null_count_opt());
        nulls == Some(group.num_rows().cast_unsigned())
    });
    never.then_some(())?;
    Some(Alike {
        index: index.min_opt()?.cast_unsigned(),
        origin: origin.parse().ok()?,
        stamp: if *device_time.min_opt()? { Stamp::Device } else { Stamp::Log },
    })
}

/// An open file with its footer and page index.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    file: Arc<Verified>,
    footer: ArrowReaderMetadata,
    alike: Option<Alike>,
}

impl Opened {
    pub(crate) fn new(file: Arc<Verified>) -> Result<Self, Error> {
        let reader = FileReader::new(&file);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let footer = ArrowReaderMetadata::load(&reader, options);
        let footer = footer.map_err(|error| reader.failure(&error))?;
        let alike = alike(footer.metadata());
        Ok(Self { file, footer, alike })
    }

    /// Reads every byte.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        self.file.verify()
    }

    /// Memory of the footer and index.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.footer.metadata().memory_size()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.footer.metadata().file_metadata().num_rows().cast_unsigned()
    }

    pub(crate) fn reader(&self) -> FileReader {
        FileReader::new(&self.file)
    }

    pub(crate) fn strange(&self, what: String) -> Error {
        Error::Damaged { path: self.file.path().to_owned(), what }
    }

    fn all_rows(&self) -> usize {
        usize::try_from(self.rows()).unwrap_or(usize::MAX)
    }

    /// Batches of some rows with some columns, those that the file has.
    fn batches(
        &self,
        reader: &FileReader,
        rows: Range<usize>,
        names: &[&str],
    ) -> Result<ParquetRecordBatchReader, Error> {
        let root = self.footer.parquet_schema().root_schema().get_fields();
        let roots = root.iter().enumerate().filter(|(_, field)| names.contains(&field.name()));
        let roots: Vec<usize> = roots.map(|(at, _)| at).collect();
        let mask = ProjectionMask::roots(self.footer.parquet_schema(), roots);
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(reader.clone(), self.footer.clone())
                .with_batch_size(BATCH_ROWS)
                .with_projection(mask);
        if rows != (0..self.all_rows()) {
            // Row groups beside the rows are left out, because a decoder is made for each.
            let (groups, before, total) = self.groups(&rows);
            let rows = rows.start - before..rows.end - before;
            let selection = RowSelection::from_consecutive_ranges(std::iter::once(rows), total);
            builder = builder.with_row_groups(groups).with_row_selection(selection);
        }
        builder.build().map_err(|error| reader.failure(&error))
    }

    /// Row groups that have some of the rows, how many rows lie before them, and in them.
    fn groups(&self, rows: &Range<usize>) -> (Vec<usize>, usize, usize) {
        let (mut groups, mut before, mut total, mut base) = (Vec::new(), 0, 0, 0);
        for (number, group) in self.footer.metadata().row_groups().iter().enumerate() {
            let count = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
            if base < rows.end && rows.start < base + count {
                if groups.is_empty() {
                    before = base;
                }
                groups.push(number);
                total += count;
            }
            base += count;
        }
        (groups, before, total)
    }

    /// Rows that may be of a device, by the page index, and whether all of them are.
    fn candidates(&self, device: &str) -> Option<(Range<usize>, bool)> {
        let metadata = self.footer.metadata();
        let (pages, indexes) = (metadata.offset_index()?, metadata.column_index()?);
        let mut found: Option<(Range<usize>, bool)> = None;
        let mut base = 0;
        for (group, (pages, indexes)) in metadata.row_groups().iter().zip(pages.iter().zip(indexes))
        {
            let rows = usize::try_from(group.num_rows()).ok()?;
            let (pages, index) = (pages.first()?.page_locations(), indexes.first()?);
            let ColumnIndexMetaData::BYTE_ARRAY(index) = index else { return None };
            for (at, page) in pages.iter().enumerate() {
                let min = index.min_value(at).unwrap_or_default();
                let max = index.max_value(at).unwrap_or(&[u8::MAX]);
                if min <= device.as_bytes() && device.as_bytes() <= max {
                    let start = base + usize::try_from(page.first_row_index).ok()?;
                    let next = pages.get(at + 1).map(|next| next.first_row_index);
                    let end = next.and_then(|next| usize::try_from(next).ok()).unwrap_or(rows);
                    let (from, sure) =
                        found.map_or((start, true), |(rows, sure)| (rows.start, sure));
                    found = Some((from..base + end, sure && min == max));
                }
            }
            base += rows;
        }
        found
    }

    /// The rows of one device, which lie side by side.
    pub(crate) fn rows_of(
        &self,
        reader: &FileReader,
        device: DeviceId,
    ) -> Result<Option<Range<usize>>, Error> {
        let text = device.to_string();
        let candidates = match self.candidates(&text) {
            None => return Ok(None),
            Some((rows, true)) => return Ok(Some(rows)),
            Some((rows, false)) => rows,
        };
        let mut at = candidates.start;
        let mut found: Option<Range<usize>> = None;
        for batch in self.batches(reader, candidates, &[DEVICE])? {
            let batch = batch.map_err(|error| reader.failure(&error))?;
            let (keys, names) = columns::device_names(&batch).map_err(|what| self.strange(what))?;
            let is_it: Vec<bool> = names.iter().map(|name| name == Some(&*text)).collect();
            for (place, key) in keys.iter().enumerate() {
                if usize::try_from(*key).ok().and_then(|k| is_it.get(k)) == Some(&true) {
                    let from = found.map_or(at + place, |found| found.start);
                    found = Some(from..at + place + 1);
                }
            }
            at += batch.num_rows();
        }
        Ok(found)
    }

    /// Batches of one device, without the column that names it.
    pub(crate) fn batches_of(
        &self,
        reader: &FileReader,
        device: DeviceId,
        names: &[&str],
    ) -> Result<Vec<RecordBatch>, Error> {
        let Some(rows) = self.rows_of(reader, device)? else { return Ok(Vec::new()) };
        let batches = self.batches(reader, rows, names)?;
        batches.map(|batch| batch.map_err(|error| reader.failure(&error))).collect()
    }

    /// Rows of one device with the values of some properties.
    pub(crate) fn stored_of(
        &self,
        device: DeviceId,
        properties: &[&str],
        columns: &Columns,
    ) -> Result<Vec<Stored>, Error> {
        let own = columns::OWN.iter().skip(1);
        let own = own.filter(|name| self.alike.is_none() || !columns::ALIKE.contains(*name));
        let names: Vec<&str> = own.chain(properties).copied().collect();
        let mut rows = Vec::new();
        for batch in self.batches_of(&self.reader(), device, &names)? {
            let stored = columns::rows(&batch, columns, Whose::One(device), self.alike);
            rows.append(&mut stored.map_err(|what| self.strange(what))?);
        }
        Ok(rows)
    }

    /// All batches with some columns.
    pub(crate) fn scan(
        self: &Arc<Self>,
        names: &[&str],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<>, Error> {
        let reader = self.reader();
        let batches = self.batches(&reader, 0..self.all_rows(), names)?;
        Ok(batches.map(move |batch| batch.map_err(|error| reader.failure(&error))))
    }

    /// All rows with all values.
    pub(crate) fn stored(self: &Arc<Self>, columns: &Arc<Columns>) -> Result<Rows<'static>, Error> {
        let properties = columns.list().iter().map(|column| column.name.as_str());
        let names: Vec<&str> = columns::OWN.into_iter().chain(properties).collect();
        let (opened, columns) = (Arc::clone(self), Arc::clone(columns));
        let stored = self.scan(&names)?.flat_map(move |batch| {
            let rows = batch.and_then(|batch| {
                let rows = columns::rows(&batch, &columns, Whose::Each, None);
                rows.map_err(|what| opened.strange(what))
            });
            let (rows, error) = match rows {
                Ok(rows) => (rows, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            rows.into_iter().map(Ok).chain(error)
        });
        Ok(Box::new(stored))
    }
}
