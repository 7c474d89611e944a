//! JSON with sorted names and without white space, in one pass over the text however deep it is nested. Pure.

use std::borrow::Cow;

/// What is open around the place that is read.
enum Open {
    List,
    Object(Object),
}

/// An object whose members are written so far in the order in which they came.
struct Object {
    /// Where the first member begins.
    start: usize,
    members: Vec<Member>,
    is_sorted: bool,
    /// A name comes next, and not a value.
    at_name: bool,
}

/// Places in what is written.
#[derive(Clone, Copy)]
struct Member {
    start: usize,
    name_end: usize,
    end: usize,
}

/// The text of a JSON value in this form: names sorted by their characters, of a name given twice the last; numbers and
/// strings as they were written. What is no JSON was refused before: of that, this makes something or other.
pub(crate) fn canonical(text: &str) -> Result<String, serde_json::Error> {
    let mut writer = Writer { out: String::with_capacity(text.len()), open: Vec::new() };
    let (bytes, mut at) = (text.as_bytes(), 0);
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b':' => at + 1,
            b'"' => {
                let end = string_end(bytes, at);
                writer.string(text.get(at..end).unwrap_or_default())?;
                end
            }
            b'{' | b'[' | b'}' | b']' | b',' => {
                writer.punctuation(*byte)?;
                at + 1
            }
            _ => {
                let rest = bytes.get(at..).unwrap_or_default();
                let length = rest.iter().position(|byte| b" \t\r\n,:]}".contains(byte)).unwrap_or(rest.len());
                writer.out.push_str(text.get(at..at + length).unwrap_or_default());
                at + length.max(1)
            }
        };
        at = end;
    }
    Ok(writer.out)
}

/// Behind the quote that ends a string.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

struct Writer {
    out: String,
    open: Vec<Open>,
}

impl Writer {
    fn string(&mut self, raw: &str) -> Result<(), serde_json::Error> {
        let Some(Open::Object(object)) = self.open.last_mut().filter(|open| matches!(open, Open::Object(own) if own.at_name))
        else {
            self.out.push_str(raw);
            return Ok(());
        };
        let start = self.out.len();
        if raw.contains('\\') {
            // One spelling of each name.
            self.out.push_str(&serde_json::to_string(&serde_json::from_str::<String>(raw)?)?);
        } else {
            self.out.push_str(raw);
        }
        let name_end = self.out.len();
        self.out.push(':');
        object.at_name = false;
        let member = Member { start, name_end, end: start };
        if let Some(last) = object.members.last() {
            object.is_sorted = object.is_sorted && name(&self.out, last)? < name(&self.out, &member)?;
        }
        object.members.push(member);
        Ok(())
    }

    fn punctuation(&mut self, byte: u8) -> Result<(), serde_json::Error> {
        match byte {
            b'{' => {
                self.out.push('{');
                let start = self.out.len();
                self.open.push(Open::Object(Object { start, members: Vec::new(), is_sorted: true, at_name: true }));
            }
            b'[' => {
                self.out.push('[');
                self.open.push(Open::List);
            }
            b',' => {
                self.end_member();
                self.out.push(',');
            }
            b'}' => {
                self.end_member();
                if let Some(Open::Object(object)) = self.open.pop()
                    && !object.is_sorted
                {
                    let sorted = object.sorted(&self.out)?;
                    self.out.truncate(object.start);
                    self.out.push_str(&sorted);
                }
                self.out.push('}');
            }
            _ => {
                self.open.pop();
                self.out.push(']');
            }
        }
        Ok(())
    }

    fn end_member(&mut self) {
        if let Some(Open::Object(object)) = self.open.last_mut() {
            object.at_name = true;
            if let Some(member) = object.members.last_mut() {
                member.end = self.out.len();
            }
        }
    }
}

impl Object {
    fn sorted(&self, out: &str) -> Result<String, serde_json::Error> {
        let mut named = Vec::with_capacity(self.members.len());
        for member in &self.members {
            named.push((name(out, member)?, *member));
        }
        // Stable: of equal names the last stays behind the others.
        named.sort_by(|left, right| left.0.cmp(&right.0));
        let mut sorted = String::with_capacity(out.len() - self.start);
        for (place, (name, member)) in named.iter().enumerate() {
            if named.get(place + 1).is_some_and(|(next, _)| next == name) {
                continue;
            }
            if !sorted.is_empty() {
                sorted.push(',');
            }
            sorted.push_str(out.get(member.start..member.end).unwrap_or_default());
        }
        Ok(sorted)
    }
}

/// A member's name as characters.
fn name<'o>(out: &'o str, member: &Member) -> Result<Cow<'o, str>, serde_json::Error> {
    let raw = out.get(member.start..member.name_end).unwrap_or_default();
    if raw.contains('\\') {
        return serde_json::from_str(raw).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// The same, level by level.
    fn expected(raw: &str) -> String {
        match raw.trim_start().as_bytes().first() {
            Some(b'{') => {
                let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw).unwrap();
                let fields = fields.iter().map(|(name, value)| {
                    format!("{}:{}", serde_json::to_string(name).unwrap(), expected(value.get()))
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(raw).unwrap();
                format!("[{}]", items.iter().map(|item| expected(item.get())).collect::<Vec<_>>().join(","))
            }
            _ => raw.trim().to_owned(),
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec!["a", "b", "B", "", "\\u0061", "\\n", "\\\"", "é", "a b", "\\\\"]);
        let leaf = prop::sample::select(vec![
            "1", "1.50", "-0", "1e3", "null", "true", "false", "\"x\"", "\"\\u00e9 \\\" , }\"", "\"\"", " 7 ", "\"\\\\\"",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(5, 60, 6, move |inner| {
            let member = (name.clone(), inner.clone()).prop_map(|(name, value)| format!(" \"{name}\" : {value}"));
            prop_oneof![
                prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(" ,\n"))),
                prop::collection::vec(inner, 0..6).prop_map(|items| format!("[ {}]", items.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn one_pass_gives_what_every_level_by_itself_gives(text in json()) {
            prop_assert_eq!(canonical(&text).unwrap(), expected(&text));
        }
    }
}
