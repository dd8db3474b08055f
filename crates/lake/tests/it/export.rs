//! An export has the values in force, whatever lies in files and in memory.

use std::ops::ControlFlow;

use crate::model_lake::{Fixture, ever, row, series, table};
use arrow_array::{Array, Float64Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use expect_test::expect;
use lake::{Column, Devices, Format, Selection, Shape};
use model::{DeviceId, Value};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

const NOW: i64 = 1_795_608_000_000;

fn filled() -> Fixture {
    let mut fixture = Fixture::new(1);
    let text = |text: &str| Value::Text(text.into());
    let place = Value::Position { latitude: 52.5, longitude: 13.4 };
    fixture.append(vec![row(1, 2, NOW, &[("t", Value::Number(1.5)), ("note", text("a \"b\""))])]);
    fixture.append(vec![row(2, 1, NOW - 86_400_000, &[("place", place)])]);
    fixture.flush();
    fixture.append(vec![row(3, 2, NOW, &[("t", Value::Number(2.5))])]);
    fixture.append(vec![row(
        4,
        3,
        NOW + 5,
        &[("t", Value::Number(-0.0)), ("ok", Value::Boolean(true))],
    )]);
    fixture
}

fn selection(devices: Devices) -> Selection {
    Selection { table: table(), devices, span: ever() }
}

fn export(fixture: &Fixture, devices: &Devices, format: Format) -> (u64, Vec<u8>) {
    let mut out = Vec::new();
    let rows = fixture.lake().export(&selection(devices.clone()), format, &mut out).unwrap();
    (rows, out)
}

#[test]
fn csv_has_a_column_for_each_property() {
    let (rows, out) = export(&filled(), &Devices::All, Format::Csv);
    assert_eq!(rows, 4);
    expect![[r#"
        _device,_ts,_offset,_index,_origin,_device_time,_source,t,note,place.latitude,place.longitude,ok
        dev_00000000000000000000000001,2026-11-24T12:00:00Z,2,0,real,true,,,,52.5,13.4,
        dev_00000000000000000000000002,2026-11-25T12:00:00Z,1,0,real,true,,,"a ""b""",,,
        dev_00000000000000000000000002,2026-11-25T12:00:00Z,3,0,real,true,,2.5,,,,
        dev_00000000000000000000000003,2026-11-25T12:00:00.005Z,4,0,real,true,,0,,,,true
    "#]]
    .assert_eq(&String::from_utf8(out).unwrap().replace('\r', ""));
}

#[test]
fn csv_says_the_units_before_the_header() {
    let fixture = filled();
    let name = "t".parse().unwrap();
    let unit = "Cel".to_owned();
    let column = Column { name, shape: Shape::Number, unit, definition: String::new() };
    fixture.lake().define(&table(), &[column]);
    let (_, out) = export(&fixture, &Devices::All, Format::Csv);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("# units: t=Cel\r\n_device,_ts,"), "{text}");
}

fn numbers(batches: &[RecordBatch]) -> Vec<Option<f64>> {
    let column = |batch: &RecordBatch| {
        let numbers: &Float64Array =
            batch.column_by_name("t").unwrap().as_any().downcast_ref().unwrap();
        (0..numbers.len())
            .map(|n| numbers.is_valid(n).then(|| numbers.value(n)))
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(column).collect()
}

#[test]
fn parquet_and_arrow_have_the_same_rows() {
    let fixture = filled();
    let (_, out) = export(&fixture, &Devices::All, Format::Parquet);
    let read = ParquetRecordBatchReader::try_new(bytes::Bytes::from(out), 100).unwrap();
    let parquet: Vec<RecordBatch> = read.map(Result::unwrap).collect();
    let (_, out) = export(&fixture, &Devices::All, Format::Arrow);
    let arrow: Vec<RecordBatch> =
        StreamReader::try_new(out.as_slice(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(numbers(&arrow), [None, None, Some(2.5), Some(0.0)]);
    assert_eq!(numbers(&parquet), numbers(&arrow));
}

#[test]
fn only_the_devices_asked_for_are_exported() {
    let fixture = filled();
    let two = DeviceId::from_u128(2);
    let (rows, _) = export(&fixture, &Devices::Of([two].into()), Format::Csv);
    assert_eq!(rows, 2);
}

#[test]
fn an_export_breaks_off_at_a_damaged_file() {
    let mut fixture = filled();
    let dir = std::path::PathBuf::from("lake").join(table().to_string()).join("_day=2026-11-24");
    let path = model::Disk::list(&fixture.disk, &dir).unwrap().remove(0);
    fixture.disk.flip(&path, 9, 1).unwrap();
    fixture.open().unwrap();
    let mut out = Vec::new();
    let broken = fixture.lake().export(&selection(Devices::All), Format::Csv, &mut out);
    assert_eq!(broken.unwrap_err().kind(), model::ErrorKind::Corrupt);
    let points: Vec<_> = fixture.lake().range(&series(2, "t"), ever()).unwrap().collect();
    assert_eq!((points.len(), points.iter().filter(|p| p.is_ok()).count()), (2, 1));
}

#[test]
fn a_replay_says_again_what_was_said_and_stops_when_it_is_enough() {
    let fixture = filled();
    let mut said = Vec::new();
    let mut all = |row: lake::Row| {
        let names: Vec<_> = row.values.iter().map(|(name, _)| name.to_string()).collect();
        said.push(format!("{} {} {}", row.offset.0, row.time.as_millis() - NOW, names.join("+")));
        if said.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    fixture.lake().replay(&selection(Devices::All), &mut all).unwrap();
    assert_eq!(said, ["2 -86400000 place", "1 0 note", "3 0 t"]);
}
