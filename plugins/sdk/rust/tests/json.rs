use streamproc_plugin::json::members;

#[test]
fn members_are_those_of_the_table() {
    let table = include_str!("../../members.txt");
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let (text, want) = line.split_once(" => ").unwrap();
        let text = text.replace('~', "\n").replace('^', "\t");
        for blanks in 0..33 {
            let text = " ".repeat(blanks) + &text;
            let got = match members(text.as_bytes(), ["a", "price", "a longer name"]) {
                None => "!".to_string(),
                Some(found) => found.map(|v| std::str::from_utf8(v.unwrap_or(b"-")).unwrap()).join(" | "),
            };
            assert_eq!(got.replace('\n', "~").replace('\t', "^"), want, "{line}, behind {blanks} blanks");
        }
    }
}

#[test]
fn what_is_cut_off_is_no_object() {
    let text = br#"{"a":"a text of more than sixteen bytes","b":[1,{"c":"\"]"}],"price":-12.5}"#;
    for n in 0..text.len() {
        assert_eq!(members(&text[..n], ["price"]), None, "{n} bytes");
    }
    assert_eq!(members(text, ["price"]), Some([Some(&b"-12.5"[..])]));
}
