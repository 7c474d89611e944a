//! Numbers keep their value: held against the parser and the printer of the standard library.

use proptest::prelude::*;

use super::*;

#[test]
fn doubles_are_written_as_the_warehouse_writes_them() {
    for (value, text) in [
        (1.0, "1"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (123.45, "123.45"),
        (1e15, "1000000000000000"),
        (1234567890123456.0, "1234567890123456"),
        (1e16, "1e+16"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00012, "0.00012"),
        (0.00001, "1e-05"),
        (5e-324, "5e-324"),
        (-12.5, "-12.5"),
    ] {
        assert_eq!(double_text(value), text);
    }
}

#[test]
fn decimals_are_written_without_padding() {
    for (units, scale, text) in [(150, 2, "1.5"), (-5, 3, "-0.005"), (1200, 0, "1200"), (0, 4, "0"), (-100, 2, "-1")] {
        assert_eq!(units_text(units, scale), text);
    }
}

#[test]
fn zero_has_no_sign() {
    assert_eq!(number("-0"), Number::Long(0));
    for raw in ["-0.0", "-0e5", "-0.000E-7", "0e999999999", "0e99999999999999999999"] {
        let Number::Double(value) = number(raw) else { panic!("{raw}") };
        assert!(value == 0.0 && value.is_sign_positive(), "{raw}");
        assert!(double(raw).is_some_and(f64::is_sign_positive), "{raw}");
        assert!(float(raw).is_some_and(f32::is_sign_positive), "{raw}");
    }
}

#[test]
fn seventeen_digits_are_a_double_and_more_are_not() {
    // 29.95, as languages print it that always print seventeen digits.
    assert_eq!(number("29.949999999999999"), Number::Double(29.95));
    assert_eq!(number("0.10000000000000001"), Number::Double(0.1));
    assert_eq!(number("1.7976931348623157e308"), Number::Double(f64::MAX));
    assert_eq!(number("-2.2250738585072014E-308"), Number::Double(-f64::MIN_POSITIVE));
    assert!(matches!(number("29.94999999999999929"), Number::Decimal { .. }));
    assert!(matches!(number("9.949999999999999"), Number::Decimal { .. }));
}

#[test]
fn exponents_beyond_reason_do_no_harm() {
    for raw in [
        "1e99999999999999999999",
        "1e-9223372036854775808",
        "1e9223372036854775807",
        "0.1e-2147483648",
        "123456789.5e2147483647",
        "1e-2147483649",
    ] {
        assert_eq!(number(raw), Number::Text(raw));
        assert_eq!((double(raw), float(raw), decimal_units(raw, 38)), (None, None, None), "{raw}");
    }
}

#[test]
fn a_declared_float_takes_every_rendering_and_nothing_else() {
    for raw in ["0.1", "0.10000000000000001", "0.1000000000000000055511151231257827", "1e-1", "0.100"] {
        assert_eq!(double(raw), Some(0.1), "{raw}");
    }
    assert_eq!(double("4.9E-324"), Some(5e-324));
    assert_eq!(double("1152921504606846976"), Some(1_152_921_504_606_846_976.0));
    assert_eq!(double("9007199254740993"), None);
    assert_eq!(double("0.1234567890123456789"), None);
    assert_eq!(double(&format!("0.{}1", "0".repeat(100_000))), None);
    assert_eq!(double(&format!("0.1{}1", "0".repeat(100_000))), None);
    for raw in ["0.1", "0.10000000149011612", "0.100000001", "1e-1"] {
        assert_eq!(float(raw), Some(0.1), "{raw}");
    }
    assert_eq!((float("0.123456789"), float("16777217"), float("1e39")), (None, None, None));
    assert_eq!(float("16777216"), Some(16_777_216.0));
}

#[test]
fn numbers_of_csv_and_xml_are_written_as_json_writes_them() {
    for (text, expected) in [
        ("12", Some("12")),
        ("+5", Some("5")),
        ("-007", Some("-7")),
        (".5", Some("0.5")),
        ("5.", Some("5")),
        ("000", Some("0")),
        ("-0.50", Some("-0.50")),
        ("1E+3", Some("1e+3")),
        ("+.5e-7", Some("0.5e-7")),
        ("", None),
        (".", None),
        ("-", None),
        ("+-5", None),
        ("1e", None),
        ("1e+", None),
        ("1.5.2", None),
        ("0x10", None),
        ("1_000", None),
        ("1,5", None),
        (" 5", None),
        ("NaN", None),
        ("inf", None),
        ("١", None),
    ] {
        assert_eq!(number_of_text(text).as_deref(), expected, "{text}");
    }
}

const JSON_NUMBER: &str = "-?(0|[1-9][0-9]{0,45})(\\.[0-9]{1,45})?([eE][+-]?[0-9]{1,3})?";

fn same(left: &str, right: &str) -> bool {
    Digits::read(left) == Digits::read(right)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No value is lost: what `number` keeps has the digits of what was written, or is the double of which those are the
    /// rendering in 17 digits.
    #[test]
    fn a_number_keeps_its_value(raw in JSON_NUMBER) {
        let kept = match number(&raw) {
            Number::Long(value) => value.to_string(),
            Number::Double(value) if same(&format!("{value:.16e}"), &raw) => raw.clone(),
            Number::Double(value) => double_text(value),
            Number::Decimal { units, scale, .. } => units_text(units, scale),
            Number::Text(text) => text.to_owned(),
        };
        prop_assert!(same(&raw, &kept), "{raw} became {kept}");
    }

    /// Every double is one again, whether it was printed in its shortest form or in 17 digits, here or by another printer.
    #[test]
    fn every_rendering_of_a_double_is_that_double(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let shortest = serde_json::to_string(&value).unwrap();
        for raw in [shortest.clone(), format!("{value:.16e}"), format!("{value:.16E}"), double_text(value)] {
            match number(&raw) {
                Number::Double(read) => prop_assert_eq!(read, value, "{}", raw),
                // Whole numbers that are written as such.
                Number::Long(read) => prop_assert_eq!(read as f64, value, "{}", raw),
                other => prop_assert!(false, "{} is {:?}", raw, other),
            }
            prop_assert_eq!(double(&raw), Some(value), "{}", raw);
        }
    }

    /// A declared column takes a float in any number of digits that gives it back, and nothing that is another number.
    #[test]
    fn a_rendering_in_enough_digits_is_given_back(bits in any::<u64>(), digits in 16usize..60) {
        let (value, narrow) = (f64::from_bits(bits), f32::from_bits((bits >> 32) as u32));
        if value.is_finite() {
            prop_assert_eq!(double(&format!("{value:.digits$e}")), Some(value));
        }
        if narrow.is_finite() {
            prop_assert_eq!(float(&format!("{narrow:.digits$e}")), Some(narrow));
            prop_assert_eq!(float(&float_text(narrow.into())), Some(narrow));
        }
    }

    /// What a declared column takes is a number whose text in as many digits is what was written.
    #[test]
    fn a_declared_float_is_never_another_number(raw in JSON_NUMBER) {
        if let Some(value) = double(&raw) {
            let digits = Digits::read(&raw).unwrap().count().max(1);
            let renderings = [format!("{value:.*e}", digits - 1), format!("{value:e}")];
            prop_assert!(renderings.iter().any(|text| same(text, &raw)), "{raw} became {value}");
        }
    }

    /// Units are exact: as a decimal they have the digits that were written.
    #[test]
    fn units_are_exact(raw in JSON_NUMBER, scale in 0u8..=38) {
        if let Some(units) = decimal_units(&raw, scale) {
            prop_assert!(same(&units_text(units, scale), &raw), "{raw} became {units} of scale {scale}");
        }
    }

    /// Text that is a number has the value that the standard library reads, and what is none is refused.
    #[test]
    fn numbers_in_text_are_those_of_the_standard_library(text in "[+-]{0,2}[0-9.]{0,8}([eE][+-]?[0-9]{0,2})?") {
        let read = number_of_text(&text);
        prop_assert_eq!(read.as_ref().map(|json| json.parse::<f64>().unwrap()), text.parse::<f64>().ok(), "{}", text);
        if let Some(json) = read {
            prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok(), "{} is no JSON", json);
        }
    }
}
