//! Vectors laid out field by field from the tables of ITU-R M.1371-5, annex 8: each line is a field, its bits written out.
use super::*;

/// Armours written bits, by the table of IEC 61162-1, and says how many bits fill the last character.
fn armour(fields: &[(&str, usize, &str)]) -> (Vec<u8>, u8) {
    let mut bits = String::new();
    for (name, n, written) in fields {
        let field: String = written.chars().filter(|c| *c != ' ').collect();
        assert_eq!(field.len(), *n, "{name}");
        bits += &field;
    }
    let fill = (6 - bits.len() % 6) % 6;
    bits += &"0".repeat(fill);
    let table = b"0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVW`abcdefghijklmnopqrstuvw";
    let payload = bits.as_bytes().chunks(6).map(|six| table[six.iter().fold(0, |v, b| v << 1 | usize::from(*b == b'1'))]).collect();
    (payload, fill as u8)
}

fn decoded(fields: &[(&str, usize, &str)]) -> String {
    let (payload, fill) = armour(fields);
    let m = decode(&payload, fill, &Heard { station: b"st\"1", received: 1289558772000 }).unwrap().unwrap();
    let tail = format!(",\"payload\":\"{}\"}}", String::from_utf8(payload).unwrap());
    m.json.strip_suffix(&tail).unwrap().to_string()
}

const MMSI: (&str, usize, &str) = ("user ID: 219012345", 30, "00 1101 0000 1101 1101 1100 1111 1001");

#[test]
fn a_class_a_position_report() {
    for (kind, written) in [(1, "000001"), (2, "000010"), (3, "000011")] {
        let got = decoded(&[
            ("message ID", 6, written),
            ("repeat indicator", 2, "00"),
            MMSI,
            ("navigational status: engaged in fishing", 4, "0111"),
            ("rate of turn: -128, not available", 8, "10000000"),
            ("speed over ground: 123", 10, "0001111011"),
            ("position accuracy", 1, "1"),
            ("longitude: 12 deg 34.5678 min = 7545678", 28, "0000 0111 0011 0010 0011 0100 1110"),
            ("latitude: -(55 deg 0.0001 min) = -33000001", 27, "110 0000 1000 0111 0101 1011 1111"),
            ("course over ground: 3599", 12, "111000001111"),
            ("true heading: 359", 9, "101100111"),
            ("time stamp: 59", 6, "111011"),
            ("special manoeuvre", 2, "00"),
            ("spare", 3, "000"),
            ("RAIM", 1, "0"),
            ("communication state", 19, "0000000000000000000"),
        ]);
        let want = "\"mmsi\":\"219012345\",\"received\":1289558772000,\"station\":\"st\\\"1\",\"status\":7,\"speed\":12.3,\"lon\":12.5761300,\"lat\":-55.0000017,\"course\":359.9,\"heading\":359,\"second\":59";
        assert_eq!(got, format!("{{\"type\":{kind},{want}"));
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let got = decoded(&[
        ("message ID", 6, "000001"),
        ("repeat indicator", 2, "00"),
        MMSI,
        ("navigational status: not defined", 4, "1111"),
        ("rate of turn", 8, "10000000"),
        ("speed over ground: not available", 10, "1111111111"),
        ("position accuracy", 1, "0"),
        ("longitude: 181 deg, 6791AC0h", 28, "0110 0111 1001 0001 1010 1100 0000"),
        ("latitude: 91 deg, 3412140h", 27, "011 0100 0001 0010 0001 0100 0000"),
        ("course over ground: not available, E10h", 12, "1110 0001 0000"),
        ("true heading: not available", 9, "111111111"),
        ("time stamp: not available", 6, "111100"),
        ("special manoeuvre, spare, RAIM, communication state", 25, "0000000000000000000000000"),
    ]);
    assert_eq!(got, "{\"type\":1,\"mmsi\":\"219012345\",\"received\":1289558772000,\"station\":\"st\\\"1\"");
}

#[test]
fn a_class_b_position_report() {
    let got = decoded(&[
        ("message ID", 6, "010010"),
        ("repeat indicator", 2, "00"),
        MMSI,
        ("reserved", 8, "00000000"),
        ("speed over ground: 0", 10, "0000000000"),
        ("position accuracy", 1, "0"),
        ("longitude: -180 deg = -108000000", 28, "1001 1001 0000 0000 1101 0000 0000"),
        ("latitude: 90 deg = 54000000", 27, "011 0011 0111 1111 1001 1000 0000"),
        ("course over ground: 0", 12, "000000000000"),
        ("true heading: 0", 9, "000000000"),
        ("time stamp: 0", 6, "000000"),
        ("reserved, flags, communication state", 29, "00000000000000000000000000000"),
    ]);
    let want = "{\"type\":18,\"mmsi\":\"219012345\",\"received\":1289558772000,\"station\":\"st\\\"1\",\"speed\":0.0,\"lon\":-180.0000000,\"lat\":90.0000000,\"course\":0.0,\"heading\":0,\"second\":0";
    assert_eq!(got, want);
}

#[test]
fn ship_static_and_voyage_related_data() {
    let rotterdam = "010010 001111 010100 010100 000101 010010 000100 000001 001101 100000 110001".to_string() + &"100000".repeat(9);
    let name = "010011 001001 010010 100000 100010 001001 100010".to_string() + &"000000".repeat(13); // SIR "I" and @
    let got = decoded(&[
        ("message ID", 6, "000101"),
        ("repeat indicator", 2, "00"),
        MMSI,
        ("AIS version", 2, "00"),
        ("IMO number: 9074729", 30, "00 0000 1000 1010 0111 1000 0010 1001"),
        ("call sign: OX2@@@@", 42, "001111 011000 110010 000000 000000 000000 000000"),
        ("name", 120, &name),
        ("type of ship and cargo: 70", 8, "01000110"),
        ("bow: 511", 9, "111111111"),
        ("stern: 20", 9, "000010100"),
        ("port: 63", 6, "111111"),
        ("starboard: 1", 6, "000001"),
        ("electronic position fixing device", 4, "0001"),
        ("ETA", 20, "0000 00000 11000 111100"),
        ("draught: 25.5 m", 8, "11111111"),
        ("destination", 120, &rotterdam),
        ("DTE", 1, "0"),
        ("spare", 1, "0"),
    ]);
    let want = "{\"type\":5,\"mmsi\":\"219012345\",\"received\":1289558772000,\"station\":\"st\\\"1\",\"imo\":9074729,\"callsign\":\"OX2\",\"name\":\"SIR \\\"I\\\"\",\"ship_type\":70,\"bow\":511,\"stern\":20,\"port\":63,\"starboard\":1,\"draught\":25.5,\"destination\":\"ROTTERDAM 1\"";
    assert_eq!(got, want);
}

#[test]
fn static_data_in_two_parts() {
    let head = [("message ID", 6, "011000"), ("repeat indicator", 2, "00"), MMSI];
    let name = "000010 001111".to_string() + &"000000".repeat(18);
    let a: Vec<_> = head.iter().copied().chain([("part: A", 2, "00"), ("name: BO", 120, name.as_str())]).collect();
    assert_eq!(decoded(&a), "{\"type\":24,\"mmsi\":\"219012345\",\"received\":1289558772000,\"station\":\"st\\\"1\",\"name\":\"BO\"");
    let b: Vec<_> = head
        .iter()
        .copied()
        .chain([
            ("part: B", 2, "01"),
            ("type of ship: 37", 8, "00100101"),
            ("vendor", 42, "000000 000000 000000 000000 000000 000000 000000"),
            ("call sign: XY", 42, "011000 011001 000000 000000 000000 000000 000000"),
            ("bow: 5", 9, "000000101"),
            ("stern: 7", 9, "000000111"),
            ("port: 2", 6, "000010"),
            ("starboard: 0", 6, "000000"),
            ("position fixing device, spare", 6, "000000"),
        ])
        .collect();
    assert_eq!(decoded(&b), "{\"type\":24,\"mmsi\":\"219012345\",\"received\":1289558772000,\"station\":\"st\\\"1\",\"ship_type\":37,\"callsign\":\"XY\",\"bow\":5,\"stern\":7,\"port\":2");
}

#[test]
fn other_messages_are_none_and_broken_ones_are_said() {
    let heard = Heard { station: b"", received: 0 };
    assert!(decode(b"4000000000000000000000000000", 0, &heard).unwrap().is_none());
    for (payload, want) in [(&b"1"[..], "too short"), (b"13@oLv@P1s0qTJLON:@N3s?n01", "of 156 bits"), (b"13@oLv@P1s0qTJLOX", "stands for no")] {
        let why = decode(payload, 0, &heard).unwrap_err();
        assert!(why.contains(want), "{why}");
    }
}
