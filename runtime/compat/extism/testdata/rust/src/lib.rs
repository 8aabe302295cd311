//! An Extism plugin that does what each value says, made with the official PDK.
use extism_pdk::*;

#[plugin_fn]
pub fn map(value: Vec<u8>) -> FnResult<Vec<u8>> {
    match value.as_slice() {
        b"error" => Err(WithReturnCode::new(Error::msg("as it was told"), 3)),
        b"panic" => panic!("as it was told"),
        b"config" => Ok(config::get("greeting")?.unwrap_or_else(|| "none".into()).into_bytes()),
        b"count" => {
            let n: u64 = var::get("n")?.unwrap_or(0) + 1;
            var::set("n", n)?;
            Ok(n.to_string().into_bytes())
        }
        b"nothing" => Ok(vec![]),
        b"log" => {
            warn!("as it was told");
            Ok(value)
        }
        _ => Ok(value.to_ascii_uppercase()),
    }
}

#[plugin_fn]
pub fn keep(value: Vec<u8>) -> FnResult<String> {
    match value.as_slice() {
        b"error" => Err(WithReturnCode::new(Error::msg("as it was told"), 3)),
        b"answer" => Ok("perhaps".into()),
        _ => Ok((!value.starts_with(b"drop")).to_string()),
    }
}

#[plugin_fn]
pub fn copy(value: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok(value)
}
