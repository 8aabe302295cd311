//! A transform that does what the value of each record says, made with the official SDK.
use redpanda_transform_sdk::*;
use std::error::Error;

fn main() {
    if std::env::var("FAIL_TO_START").is_ok() {
        return;
    }
    on_record_written(each);
}

fn each(event: WriteEvent, writer: &mut RecordWriter) -> Result<(), Box<dyn Error>> {
    let record = &event.record;
    match record.value() {
        Some(b"drop") => {}
        Some(b"panic") => panic!("as it was told"),
        Some(b"error") => return Err("as it was told".into()),
        Some(b"thrice") => {
            for n in 0..3 {
                writer.write(BorrowedRecord::new(record.key(), Some(format!("{n}").as_bytes())))?;
            }
        }
        Some(b"headers") => {
            let text: Vec<String> = record.headers().iter()
                .map(|h| format!("{:?}={:?}", std::str::from_utf8(h.key()), h.value().map(|v| std::str::from_utf8(v))))
                .collect();
            let headers = vec![BorrowedHeader::new(b"added", Some(b"1")), BorrowedHeader::new(b"null", None)];
            writer.write(BorrowedRecord::new_with_headers(None, Some(text.join(" ").as_bytes()), headers))?;
        }
        Some(b"environment") => {
            let mut all: Vec<String> = std::env::vars().map(|(k, v)| format!("{k}={v}")).collect();
            all.sort();
            let args: Vec<String> = std::env::args().collect();
            writer.write(BorrowedRecord::new(None, Some(format!("{} {}", args.join(" "), all.join(" ")).as_bytes())))?;
        }
        Some(b"time") => {
            let at = record.timestamp().duration_since(std::time::UNIX_EPOCH)?.as_millis();
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
            writer.write(BorrowedRecord::new(None, Some(format!("{at} {now}").as_bytes())))?;
        }
        Some(b"side") => writer.write_with_options(record, WriteOptions::to_topic("side"))?,
        Some(b"elsewhere") => writer.write_with_options(record, WriteOptions::to_topic("elsewhere"))?,
        Some(b"nothing") => writer.write(BorrowedRecord::new(record.key(), None))?,
        _ => writer.write(record)?,
    }
    Ok(())
}
