//! Pages of records that are hard to tell apart: brackets and quotes in strings, escapes, white space, and damage.

use super::super::answer::{Answer, Query};
use super::super::draw::Draw;

const PIECES: [&str; 20] = [
    "\\\\",
    "\\\"",
    "\\n",
    "\\u005c",
    "\\u0022",
    "[",
    "]",
    "{",
    "}",
    "},{",
    "]}",
    ",",
    ":",
    " ",
    "é",
    "日",
    "😀",
    "plain text",
    "\\\\\\\"",
    "a longer run of letters, as names and notes have it",
];
const DAMAGE: [&str; 12] = ["", "\"", "\\", "{", "}", "[", "]", ",", "\n", "x", "é", "\u{1}"];

pub(super) fn answer(query: &Query) -> Answer {
    let number = query.get("number").and_then(|number| number.parse().ok()).unwrap_or(0);
    Answer::text(page(number), "application/json")
}

/// The page of that number: every fourth one is damaged at one place.
pub(super) fn page(number: u64) -> String {
    let mut draw = Draw::new(0x5911, number);
    let mut page = format!("{{\"before\":{},", value(&mut draw, 2));
    page += &white(&mut draw);
    page += "\"items\":[";
    for place in 0..draw.below(60) {
        if place > 0 {
            page.push(',');
        }
        page += &white(&mut draw);
        page += &object(&mut draw, 3);
        page += &white(&mut draw);
    }
    page += "],\"after\":";
    page += &value(&mut draw, 2);
    page.push('}');
    if number % 4 == 3 { damaged(&mut draw, &page) } else { page }
}

fn damaged(draw: &mut Draw, page: &str) -> String {
    let letters: Vec<char> = page.chars().collect();
    let place = usize::try_from(draw.below(letters.len() as u64)).unwrap_or_default();
    let (before, after) = letters.split_at(place);
    let mut page = String::from_iter(before);
    page += draw.pick(&DAMAGE);
    // Half of them are cut there, the others lose a letter.
    if draw.below(2) == 0 {
        page.extend(&after[1..]);
    }
    page
}

fn object(draw: &mut Draw, depth: u32) -> String {
    let fields = (0..draw.below(5)).map(|_| format!("{}{}:{}", text(draw), white(draw), value(draw, depth)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn value(draw: &mut Draw, depth: u32) -> String {
    match draw.below(if depth == 0 { 4 } else { 6 }) {
        0 => "-12.50e3".to_owned(),
        1 => "null".to_owned(),
        2 | 3 => text(draw),
        4 => {
            let values = (0..draw.below(4)).map(|_| value(draw, depth - 1));
            format!("[{}]", values.collect::<Vec<_>>().join(","))
        }
        _ => object(draw, depth - 1),
    }
}

fn text(draw: &mut Draw) -> String {
    let pieces = (0..draw.below(7)).map(|_| draw.pick(&PIECES));
    format!("\"{}\"", pieces.collect::<String>())
}

/// Mostly none, sometimes more than a block.
fn white(draw: &mut Draw) -> String {
    let length = if draw.below(6) == 0 { draw.below(140) } else { 0 };
    (0..length).map(|_| draw.pick(&[' ', '\n', '\t', '\r'])).collect()
}
