//! What time it is at the API server.

use std::time::Duration;

use http::Request;
use http::header::DATE;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;

/// An HTTP date has whole seconds, cut off (RFC 9110, section 5.6.7).
const RESOLUTION: Duration = Duration::from_secs(1);

/// The API server's clock at the moment its answer arrived, as far as it can be known: its `Date`
/// has whole seconds, and it was written at some moment of the round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTime {
    /// The `Date`: the server's clock was at it or up to a second further when it answered.
    pub date: Timestamp,
    /// From the request to the answer.
    pub round_trip: Duration,
}

/// How far a clock is ahead of another, negative if behind: somewhere from `least` to `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// The lower bound.
    pub least: SignedDuration,
    /// The upper bound.
    pub most: SignedDuration,
}

/// The API server didn't say what time it is.
#[derive(Debug, thiserror::Error)]
pub enum NoServerTime {
    /// No answer.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// An answer without a date that can be read.
    #[error("the answer has no valid Date header")]
    NoDate,
}

/// Asks the API server for its version, and looks at the answer's date. An error status does as
/// well.
///
/// # Errors
/// No answer, or none with a date.
pub async fn server_time(client: &Client) -> Result<ServerTime, NoServerTime> {
    let request = Request::get("/version").body(Body::empty());
    let sent = Instant::now();
    let answer = client
        .send(request.map_err(kube::Error::HttpError)?)
        .await?;
    let round_trip = sent.elapsed();
    let date = answer
        .headers()
        .get(DATE)
        .and_then(|date| date.to_str().ok());
    let date = date.and_then(parse).ok_or(NoServerTime::NoDate)?;
    Ok(ServerTime { date, round_trip })
}

impl ServerTime {
    /// The bounds of the server's clock when the answer arrived.
    pub fn bounds(&self) -> (Timestamp, Timestamp) {
        let latest = self.date.checked_add(RESOLUTION + self.round_trip);
        (self.date, latest.unwrap_or(Timestamp::MAX))
    }

    /// How far a clock is ahead of the server's that showed `now` when the answer arrived.
    pub fn skew_of(&self, now: Timestamp) -> Skew {
        let (earliest, latest) = self.bounds();
        Skew {
            least: now.duration_since(latest),
            most: now.duration_since(earliest),
        }
    }
}

impl Skew {
    /// How far the clocks differ at the least, in either direction; zero if they may agree.
    pub fn at_least(&self) -> SignedDuration {
        let behind = self.most.min(SignedDuration::ZERO);
        let ahead = self.least.max(SignedDuration::ZERO);
        (ahead - behind).abs()
    }
}

fn parse(date: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_is_known_up_to_the_second_and_the_round_trip() {
        let server = ServerTime {
            date: parse("Sun, 06 Nov 1994 08:49:37 GMT").unwrap(),
            round_trip: Duration::from_millis(500),
        };
        assert_eq!(server.date.to_string(), "1994-11-06T08:49:37Z");
        let skew = |ms: i64| {
            let now = server
                .date
                .checked_add(SignedDuration::from_millis(ms))
                .unwrap();
            server.skew_of(now).at_least().as_millis()
        };
        assert_eq!([skew(0), skew(800), skew(1500)], [0, 0, 0]);
        assert_eq!(skew(61_500), 60_000);
        assert_eq!(skew(-60_000), 60_000);
    }
}
