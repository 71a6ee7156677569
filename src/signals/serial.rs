//! Serial numbers of certificates as others write them.

use crate::error::SetError;

/// RFC 5280, section 4.1.2.2.
const MAX_BYTES: usize = 20;

/// The serial numbers that `text` may mean, in lower-case hex of whole bytes. CAEP 1.0 doesn't say
/// how they are written: digits alone are hex to some and decimal to others, so both are taken. The
/// reading that wasn't meant is nobody's: ours have 128 random bits.
pub(crate) fn readings(text: &str) -> Result<Vec<String>, SetError> {
    let plain = text.replace(':', "").to_ascii_lowercase();
    let (digits, marked) = match plain.strip_prefix("0x") {
        Some(digits) => (digits, true),
        None => (plain.as_str(), plain.len() != text.len()),
    };
    let mut found = Vec::new();
    found.extend(of_hex(digits));
    if !marked {
        found.extend(of_decimal(digits));
    }
    found.dedup();
    if found.is_empty() {
        return Err(SetError::request("x509_serial is no serial number"));
    }
    Ok(found)
}

fn of_hex(digits: &str) -> Option<String> {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() || digits.len() > 2 * MAX_BYTES {
        return None;
    }
    if !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    let pad = if digits.len() % 2 == 1 { "0" } else { "" };
    Some(format!("{pad}{digits}"))
}

fn of_decimal(digits: &str) -> Option<String> {
    // 2^160 has 49 digits, and 10^49 has 163 bits.
    if digits.is_empty() || digits.len() > 49 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let mut least_first = [0_u8; MAX_BYTES + 1];
    for digit in digits.bytes() {
        let mut carry = digit - b'0';
        for byte in &mut least_first {
            let value = u16::from(*byte) * 10 + u16::from(carry);
            [*byte, carry] = value.to_le_bytes();
        }
    }
    let most_first: Vec<u8> = least_first.into_iter().rev().collect();
    of_hex(&hex::encode(most_first))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_read_in_each_way_that_it_may_be_meant() {
        let read = |text| readings(text).unwrap();
        assert_eq!(read("0a1b"), ["0a1b"]);
        assert_eq!(read("0A:1B"), ["0a1b"]);
        assert_eq!(read("0x0A1B"), ["0a1b"]);
        assert_eq!(read("1000"), ["1000", "03e8"]);
        assert_eq!(read("0x1000"), ["1000"]);
        assert_eq!(read("7"), ["07"]);
        let largest = "1461501637330902918203684832716283019655932542975";
        assert_eq!(read(largest), ["ff".repeat(20)]);
    }

    #[test]
    fn what_is_no_serial_number_is_an_error() {
        let too_large = "1461501637330902918203684832716283019655932542976";
        let long = "f".repeat(41);
        for text in ["", "0", "0x", "serial", "-1", "1 2", too_large, &long] {
            assert!(readings(text).is_err(), "{text:?}");
        }
    }
}
