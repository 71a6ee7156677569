//! Cedar's `datetime`, fast.
//!
//! Cedar makes one of a text only, by three regular expressions. Most times of requests are of few
//! seconds (that which it is, ends of certificates and of delegations), so each thread keeps some,
//! and milliseconds are added to them.

use std::cell::RefCell;

use cedar_policy_core::ast::{ExtensionFunction, Name, PartialValue, Value, ValueKind};
use cedar_policy_core::extensions::Extensions;
use jiff::Timestamp;
use jiff::tz::Offset;
use smol_str::SmolStr;

/// The begin of the year 0, UTC. The last year that a [`Timestamp`] has is Cedar's last too.
const BEGIN_MILLISECONDS: i64 = -62_167_219_200_000;
/// How many seconds each thread keeps.
const KEPT: usize = 64;

thread_local! {
    static SECONDS: RefCell<[Option<(i64, Value)>; KEPT]> =
        const { RefCell::new([const { None }; KEPT]) };
}

/// Makes them.
#[derive(Debug)]
pub(crate) struct Datetimes {
    parse: &'static ExtensionFunction,
    offset: &'static ExtensionFunction,
    /// 0 to 999 ms, as durations.
    milliseconds: Vec<Value>,
}

impl Datetimes {
    pub(crate) fn new() -> Option<Self> {
        let duration = function("duration")?;
        Some(Self {
            parse: function("datetime")?,
            offset: function("offset")?,
            milliseconds: (0..1_000)
                .map(|it| call(duration, &[text(format!("{it}ms"))]))
                .collect::<Option<_>>()?,
        })
    }

    /// Is it of a year that Cedar can have?
    pub(crate) fn has(&self, time: Timestamp) -> bool {
        time.as_millisecond() >= BEGIN_MILLISECONDS
    }

    /// To the millisecond, as Cedar has it; what is finer is cut off. `None` for years that haven't
    /// four digits.
    pub(crate) fn of(&self, time: Timestamp) -> Option<Value> {
        let milliseconds = time.as_millisecond();
        let second = self.second(milliseconds.div_euclid(1_000))?;
        match usize::try_from(milliseconds.rem_euclid(1_000)).ok()? {
            0 => Some(second),
            more => call(self.offset, &[second, self.milliseconds.get(more)?.clone()]),
        }
    }

    /// Seconds since 1970.
    fn second(&self, second: i64) -> Option<Value> {
        let place = usize::try_from(second.rem_euclid(KEPT as i64)).ok()?;
        let kept = SECONDS.with_borrow(|all| {
            let (of, value) = all.get(place)?.as_ref()?;
            (*of == second).then(|| value.clone())
        });
        if kept.is_some() {
            return kept;
        }
        let time = Offset::UTC.to_datetime(Timestamp::from_second(second).ok()?);
        let year = u16::try_from(time.year()).ok()?;
        let written = format!(
            "{year:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
        );
        let value = call(self.parse, &[text(written)])?;
        SECONDS.with_borrow_mut(|all| {
            if let Some(slot) = all.get_mut(place) {
                *slot = Some((second, value.clone()));
            }
        });
        Some(value)
    }
}

/// A function of Cedar's extensions.
pub(crate) fn function(name: &str) -> Option<&'static ExtensionFunction> {
    let name = Name::parse_unqualified_name(name).ok()?;
    Extensions::all_available().func(&name).ok()
}

/// What it makes of its arguments, if it takes them.
pub(crate) fn call(function: &ExtensionFunction, arguments: &[Value]) -> Option<Value> {
    match function.call(arguments) {
        Ok(PartialValue::Value(value)) if matches!(value.value, ValueKind::ExtensionValue(_)) => {
            Some(value)
        }
        _ => None,
    }
}

/// A string.
pub(crate) fn text(text: String) -> Value {
    Value::from(SmolStr::from(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::{Datetimes, KEPT, call, function, text};

    #[test]
    fn a_datetime_is_the_one_that_cedar_reads_whichever_were_asked_for_before() {
        let datetimes = Datetimes::new().unwrap();
        let plain = function("datetime").unwrap();
        let mut seconds = vec![0, 1, -1, 1_764_000_000, 253_402_207_100];
        seconds.extend_from_within(..);
        seconds.extend((0..5).map(|it| 1_764_000_000 + it * KEPT as i64));
        for second in seconds {
            for millisecond in [0, 1, 999] {
                let time = jiff::Timestamp::from_millisecond(second * 1_000 + millisecond).unwrap();
                let written = time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
                let wanted = call(plain, &[text(written)]).unwrap();
                assert_eq!(datetimes.of(time).unwrap(), wanted, "{time}");
            }
        }
        for (time, has) in [
            ("-000001-12-31T23:59:59.999Z", false),
            ("0000-01-01T00:00:00Z", true),
            ("9999-12-30T22:00:00.999Z", true),
        ] {
            let time = time.parse().unwrap();
            assert_eq!(datetimes.has(time), has, "{time}");
            assert_eq!(datetimes.of(time).is_some(), has, "{time}");
        }
    }
}
