//! Writes the JSON object of a record whose values are texts.

/// Appends `text` as a JSON string.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' => {
                let hex = |digit: u32| char::from_digit(digit, 16).unwrap_or('0');
                out.push_str("\\u00");
                out.extend([hex(u32::from(c) >> 4), hex(u32::from(c) & 15)]);
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn every_character_comes_back() {
        let text: String = ('\0'..='\u{ff}').chain("日😀\u{2028}".chars()).collect();
        let mut json = String::new();
        string(&mut json, &text);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
