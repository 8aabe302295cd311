//! quake-alert: a GeoJSON feature of the USGS earthquake feed becomes a compact alert, keyed by the event's id, so that
//! all revisions of one event meet in one partition.
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use streamproc_plugin::{Outputs, Record, Verdict};

#[derive(Deserialize)]
struct Start {
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Earthquakes below are filtered.
    least: Option<f64>,
}

static LEAST: OnceLock<f64> = OnceLock::new();

fn configure(start: &str) -> Result<(), String> {
    let start: Start = serde_json::from_str(start).map_err(|e| format!("config: {e}"))?;
    let _ = LEAST.set(start.config.and_then(|c| c.least).unwrap_or(f64::MIN));
    Ok(())
}

#[derive(Deserialize)]
struct Feature {
    id: String,
    properties: Properties,
    geometry: Option<Geometry>,
}

#[derive(Deserialize)]
struct Properties {
    mag: Option<f64>,
    place: Option<String>,
    time: i64,
    updated: i64,
}

#[derive(Deserialize)]
struct Geometry {
    coordinates: Vec<f64>,
}

#[derive(Serialize)]
struct Alert<'a> {
    id: &'a str,
    mag: f64,
    place: &'a str,
    time: i64,
    updated: i64,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth_km: Option<f64>,
}

/// The classes of magnitude in common use, from micro to great.
fn severity(mag: f64) -> &'static str {
    match mag {
        m if m >= 8.0 => "great",
        m if m >= 7.0 => "major",
        m if m >= 6.0 => "strong",
        m if m >= 5.0 => "moderate",
        m if m >= 4.0 => "light",
        m if m >= 3.0 => "minor",
        _ => "micro",
    }
}

fn alert(r: &Record, out: &mut Outputs) -> Verdict {
    let Some(value) = r.value else { return Verdict::Keep };
    let f: Feature = match serde_json::from_slice(value) {
        Ok(f) => f,
        Err(e) => return Verdict::Fail(format!("not an earthquake feature: {e}")),
    };
    let Some(mag) = f.properties.mag else { return Verdict::Drop };
    if mag < *LEAST.get().unwrap_or(&f64::MIN) {
        return Verdict::Drop;
    }
    let alert = Alert {
        id: &f.id,
        mag,
        place: f.properties.place.as_deref().unwrap_or(""),
        time: f.properties.time,
        updated: f.properties.updated,
        severity: severity(mag),
        depth_km: f.geometry.as_ref().and_then(|g| g.coordinates.get(2).copied()),
    };
    match serde_json::to_vec(&alert) {
        Ok(v) => out.put(Some(f.id.as_bytes()), &v),
        Err(e) => return Verdict::Fail(format!("writing the alert: {e}")),
    }
    Verdict::Replaced
}

streamproc_plugin::export!(alert, init = configure);
