//! The identity of a record without a primary key: a hash of what its row looks like.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use model::schema::value::{Moment, Value, free_moment_text, moment, number};
use sandbox::JSON_DEPTH_MAX;
use sha2::{Digest, Sha256};

use super::{BadRecord, for_each_field};

/// SHA-256, in hex, of the record as JSON with sorted names and without blanks, in which what makes no difference in a row is
/// written in one way: numbers of one value, escapes of one character, a field that is null and one that is absent, and in
/// columns that keep instants the spellings of one. `keeps_time` says of a field whether its column does.
pub(crate) fn row_id(text: &str, keeps_time: impl Fn(&str) -> bool) -> Result<String, BadRecord> {
    let mut fields = Vec::new();
    for_each_field(text, JSON_DEPTH_MAX.into(), |field| {
        fields.push(field);
        Ok::<(), BadRecord>(())
    })
    .map_err(|error| match error {
        Ok(bad) | Err(bad) => bad,
    })?;
    let mut canonical = String::with_capacity(text.len());
    canonical.push('{');
    for field in sorted(fields, |field| &field.name).into_iter().filter(|field| field.raw != "null") {
        if canonical.len() > 1 {
            canonical.push(',');
        }
        push_string(&field.name, &mut canonical);
        canonical.push(':');
        match instant(&field.raw).filter(|_| keeps_time(&field.name)) {
            Some(text) => push_string(&text, &mut canonical),
            None => Canonical::of(&field.raw).push_all(&mut canonical),
        }
    }
    canonical.push('}');
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(canonical.as_bytes()) {
        // Writing into memory does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

/// Sorted by name; of several with one name the last, which is the one that counts.
fn sorted<T>(mut all: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    all.sort_by(|left, right| name(left).cmp(name(right)));
    let mut kept: Vec<T> = Vec::with_capacity(all.len());
    for one in all {
        kept.pop_if(|last| name(last) == name(&one));
        kept.push(one);
    }
    kept
}

/// The normal form of a time.
fn instant(raw: &str) -> Option<String> {
    match moment(raw.strip_prefix('"')?.strip_suffix('"')?)? {
        Moment::Timestamp { micros, is_utc, .. } => Some(free_moment_text(micros, is_utc)),
        Moment::Date(_) => None,
    }
}

/// A string as JSON, with no escapes but those that are needed.
fn push_string(text: &str, out: &mut String) {
    out.push_str(&model::json::text(text));
}

/// Compact JSON, valid and no deeper than `JSON_DEPTH_MAX`. The order of members is found before anything is written, so that
/// no byte is read or copied more often because of how deep it is.
struct Canonical<'a> {
    raw: &'a str,
    /// Its objects of several members, sorted by their begin.
    objects: Vec<Object>,
    members: Vec<Member>,
}

/// Where an object begins and ends, and which members are its.
struct Object {
    begin: usize,
    end: usize,
    members: Range<usize>,
}

/// Where the name and the value of a member begin, and where the value ends.
#[derive(Clone, Copy)]
struct Member {
    name: usize,
    value: usize,
    end: usize,
}

/// A container under way: where it begins, and how many members were pending before it; none for an array.
type Open = Option<(usize, usize)>;

impl<'a> Canonical<'a> {
    fn of(raw: &'a str) -> Self {
        let mut canonical = Self { raw, objects: Vec::new(), members: Vec::new() };
        canonical.find_objects();
        canonical.objects.sort_unstable_by_key(|object| object.begin);
        canonical
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.raw.as_bytes().get(at).copied()
    }

    fn find_objects(&mut self) {
        let (mut open, mut pending, mut at): (Vec<Open>, Vec<Member>, usize) = (Vec::new(), Vec::new(), 0);
        while let Some(byte) = self.byte(at) {
            match byte {
                b'{' => {
                    open.push(Some((at, pending.len())));
                    at = self.begin_member(at + 1, &mut pending);
                }
                b'[' => {
                    open.push(None);
                    at += 1;
                }
                b',' if matches!(open.last(), Some(Some(_))) => {
                    end_member(&mut pending, at);
                    at = self.begin_member(at + 1, &mut pending);
                }
                b'}' | b']' => {
                    if let Some(Some((begin, first))) = open.pop() {
                        self.end_object(begin, at, &mut pending, first);
                    }
                    at += 1;
                }
                b'"' => at = self.end_of_string(at),
                _ => at += 1,
            }
        }
    }

    /// Notes the member that begins here, and returns where its value begins.
    fn begin_member(&self, at: usize, pending: &mut Vec<Member>) -> usize {
        if self.byte(at) != Some(b'"') {
            return at;
        }
        let value = self.end_of_string(at) + 1;
        pending.push(Member { name: at, value, end: value });
        value
    }

    fn end_object(&mut self, begin: usize, at: usize, pending: &mut Vec<Member>, first: usize) {
        if pending.len() > first {
            end_member(pending, at);
        }
        if pending.len() > first + 1 {
            let before = self.members.len();
            self.members.extend(pending.iter().skip(first));
            self.objects.push(Object { begin, end: at + 1, members: before..self.members.len() });
        }
        pending.truncate(first);
    }

    /// The place after a string that begins here.
    fn end_of_string(&self, begin: usize) -> usize {
        let mut at = begin + 1;
        while let Some(byte) = self.byte(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        at
    }

    /// What a string stands for.
    fn text(&self, begin: usize, end: usize) -> Cow<'a, str> {
        let quoted = self.raw.get(begin..end).unwrap_or_default();
        match Value::read(quoted) {
            Ok(Value::Text(text)) => text,
            // The scanner lets no other string through; as it stands it is still itself.
            _ => Cow::Borrowed(quoted),
        }
    }

    fn push_all(&self, out: &mut String) {
        self.push(0, self.raw.len(), out);
    }

    /// Recursion is bounded: by the depth of what was scanned.
    fn push(&self, begin: usize, end: usize, out: &mut String) {
        let mut at = begin;
        while let Some(byte) = self.byte(at).filter(|_| at < end) {
            let next = match byte {
                b'"' => self.end_of_string(at),
                b'{' => self.object(at).map_or(at + 1, |object| object.end),
                b'-' | b'0'..=b'9' => at + self.number_bytes(at),
                _ => at + 1,
            };
            match byte {
                b'"' => push_string(&self.text(at, next), out),
                b'{' if next > at + 1 => self.push_object(at, out),
                b'-' | b'0'..=b'9' => out.extend(self.raw.get(at..next).map(|raw| number(raw).text())),
                _ => out.push(char::from(byte)),
            }
            at = next;
        }
    }

    fn object(&self, begin: usize) -> Option<&Object> {
        let place = self.objects.binary_search_by_key(&begin, |object| object.begin).ok()?;
        self.objects.get(place)
    }

    fn number_bytes(&self, begin: usize) -> usize {
        let is_in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        self.raw.bytes().skip(begin).take_while(|byte| is_in_number(byte)).count()
    }

    fn push_object(&self, begin: usize, out: &mut String) {
        let members = self.object(begin).and_then(|object| self.members.get(object.members.clone()));
        let named = members.into_iter().flatten().map(|member| (self.text(member.name, member.value - 1), *member));
        let mut mark = '{';
        for (name, member) in sorted(named.collect(), |(name, _)| name) {
            out.push(mark);
            mark = ',';
            push_string(&name, out);
            out.push(':');
            self.push(member.value, member.end, out);
        }
        out.push('}');
    }
}

fn end_member(pending: &mut [Member], at: usize) {
    if let Some(last) = pending.last_mut() {
        last.end = at;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> String {
        row_id(text, |name| name.starts_with("at")).unwrap()
    }

    fn hash(canonical: &str) -> String {
        Sha256::digest(canonical.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_row_id_is_the_hash_of_the_record_as_json_with_sorted_names() {
        let text = r#"{"b":{"y":[1, 2],"x":"ä"},"a":1,"c":"","d":[{"f":{},"e":[]},true,false,null]}"#;
        let canonical = r#"{"a":1,"b":{"x":"ä","y":[1,2]},"c":"","d":[{"e":[],"f":{}},true,false,null]}"#;
        assert_eq!(id(text), hash(canonical));
        assert_eq!(id("{}"), hash("{}"));
    }

    #[test]
    fn rows_that_look_the_same_are_the_same() {
        for (left, right) in [
            (r#"{"a":1,"b":{"y":[1, 2],"x":"ä"}}"#, r#"{ "b": {"x":"\u00e4", "y":[1,2]}, "a": 1 }"#),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#),
            (r#"{"a":1}"#, r#"{"a":1.0}"#),
            (r#"{"a":100}"#, r#"{"a":1e2}"#),
            (r#"{"a":0}"#, r#"{"a":-0.0}"#),
            (r#"{"a":29.95}"#, r#"{"a":29.949999999999999}"#),
            (r#"{"a":[1.50]}"#, r#"{"a":[1.5]}"#),
            (r#"{"a":18446744073709551615}"#, r#"{"a":18446744073709551615.0}"#),
            (r#"{"a":2,"a":1}"#, r#"{"\u0061":1}"#),
            (r#"{"a":{"x":2,"x":1}}"#, r#"{"a":{"x":1}}"#),
            (r#"{"a":"é/\n"}"#, r#"{"a":"\u00e9\/\u000a"}"#),
            (r#"{"at":"2024-01-01T10:00:00Z"}"#, r#"{"at":"2024-01-01 12:00:00.000+02:00"}"#),
        ] {
            assert_eq!(id(left), id(right), "{left} {right}");
        }
    }

    #[test]
    fn rows_that_do_not_are_not() {
        for (left, right) in [
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            (r#"{"a":[null]}"#, r#"{"a":[]}"#),
            (r#"{"a":{"x":null}}"#, r#"{"a":{}}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":"b\",\"c\":\"d"}"#, r#"{"a":"b","c":"d"}"#),
            (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740992}"#),
            // Text columns keep the spelling.
            (r#"{"text":"2024-01-01T10:00:00Z"}"#, r#"{"text":"2024-01-01T12:00:00+02:00"}"#),
            (r#"{"at":"2024-01-01T10:00:00Z"}"#, r#"{"at":"2024-01-01T10:00:00"}"#),
        ] {
            assert_ne!(id(left), id(right), "{left} {right}");
        }
    }

    #[test]
    fn depth_costs_nothing() {
        let depth = usize::try_from(JSON_DEPTH_MAX).unwrap() - 1;
        let nested = |inner: &str| format!(r#"{{"a":{}{inner}{}}}"#, r#"{"b":0,"a":"#.repeat(depth), "}".repeat(depth));
        let wide = format!("[{}0]", "0,".repeat(1 << 20));
        assert_ne!(id(&nested(&wide)), id(&nested("[0]")));
    }

    /// The canonical text, made the plain way.
    fn canonical(value: &serde_json::Value) -> String {
        match value {
            serde_json::Value::Object(fields) => {
                let fields: BTreeMap<_, _> = fields.iter().collect();
                let fields =
                    fields.into_iter().map(|(name, value)| format!("{}:{}", serde_json::json!(name), canonical(value)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            serde_json::Value::Array(items) => {
                format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
            }
            other => other.to_string(),
        }
    }

    proptest! {
        /// … for any record, however its objects are nested and its strings are written.
        #[test]
        fn any_record_has_the_hash_of_its_canonical_text(text in super::super::tests::arbitrary_object("-?(0|[1-9][0-9]{0,12})")) {
            let text = text.replace("-0", "0");
            let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
            if let Some(fields) = value.as_object_mut() {
                fields.retain(|_, value| !value.is_null());
            }
            prop_assert_eq!(row_id(&text, |_| false).unwrap(), hash(&canonical(&value)));
        }
    }
}
