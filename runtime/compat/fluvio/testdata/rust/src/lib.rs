//! One smart module of each kind, made with the official SDK: the feature says which. It does what each value says.
#![allow(deprecated, unused_imports)] // the SDK's own macros use what it has deprecated; each feature uses a part
use fluvio_smartmodule::{eyre, smartmodule, Record, RecordData, Result};

fn told(record: &Record) -> Result<String> {
    let text = String::from_utf8_lossy(record.value.as_ref()).to_string();
    match text.as_str() {
        "error" => Err(eyre!("as it was told")),
        "panic" => panic!("as it was told"),
        _ => Ok(text),
    }
}

#[cfg(feature = "filter")]
mod it {
    use super::*;
    use fluvio_smartmodule::{dataplane::smartmodule::SmartModuleExtraParams, SmartModuleRecord};
    use std::sync::OnceLock;
    static LETTER: OnceLock<String> = OnceLock::new();

    #[smartmodule(init)]
    fn init(params: SmartModuleExtraParams) -> Result<()> {
        let letter = params.get("letter").ok_or_else(|| eyre!("letter is missing"))?;
        LETTER.set(letter.clone()).map_err(|_| eyre!("twice"))
    }

    #[smartmodule(filter)]
    pub fn filter(record: &SmartModuleRecord) -> Result<bool> {
        let text = told(record)?;
        if text == "where" {
            return Ok(record.offset() == 102 && record.timestamp() == 4998);
        }
        Ok(text.contains(LETTER.get().unwrap()))
    }
}

#[cfg(feature = "map")]
#[smartmodule(map)]
pub fn map(record: &Record) -> Result<(Option<RecordData>, RecordData)> {
    Ok((record.key.clone(), told(record)?.to_uppercase().into()))
}

#[cfg(feature = "filter_map")]
#[smartmodule(filter_map)]
pub fn filter_map(record: &Record) -> Result<Option<(Option<RecordData>, RecordData)>> {
    let text = told(record)?;
    Ok((text != "drop").then(|| (Some("new".into()), text.into())))
}

#[cfg(feature = "array_map")]
#[smartmodule(array_map)]
pub fn array_map(record: &Record) -> Result<Vec<(Option<RecordData>, RecordData)>> {
    Ok(told(record)?.split(' ').filter(|w| !w.is_empty()).map(|w| (record.key.clone(), w.into())).collect())
}

#[cfg(feature = "aggregate")]
#[smartmodule(aggregate)]
pub fn aggregate(acc: RecordData, record: &Record) -> Result<RecordData> {
    Ok(format!("{}{}", String::from_utf8_lossy(acc.as_ref()), told(record)?).into())
}
