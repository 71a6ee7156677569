//! What an operator sets.

use std::fmt;

/// Bounds and the address of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where callers reach it.
    pub base: BaseUrl,
    /// The most bytes of a body; more is a 413.
    pub max_body: usize,
    /// The most evaluations of a batch; more is a 400.
    pub max_batch: usize,
    /// The deepest that a body's lists and objects may nest; deeper is a 400. Beyond 127 another
    /// bound refuses.
    pub max_depth: usize,
    /// The results of a search's page, if its request names no fewer.
    pub max_results: usize,
}

/// The policy decision point's identifier (AuthZEN 1.0, policy decision point metadata): an `https`
/// URL without query and fragment, and without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    url: String,
    /// Bytes before the path.
    origin: usize,
}

/// Why a text is no [`BaseUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the base URL {0}")]
pub struct BadBaseUrl(&'static str);

impl Settings {
    /// A body of 1 MiB, 10,000 evaluations, 64 levels, 1,000 results.
    pub fn new(base: BaseUrl) -> Self {
        Self {
            base,
            max_body: 1 << 20,
            max_batch: 10_000,
            max_depth: 64,
            max_results: 1_000,
        }
    }
}

impl BaseUrl {
    /// Such as `https://pdp.example.com` or `https://pdp.example.com:8443/tenant`.
    ///
    /// # Errors
    /// It isn't `https`, names no host, ends with a slash, or has anything else than unreserved
    /// characters (RFC 3986, section 2.3) in its path.
    pub fn parse(url: &str) -> Result<Self, BadBaseUrl> {
        const SCHEME: &str = "https://";
        let rest = url
            .strip_prefix(SCHEME)
            .ok_or(BadBaseUrl("must begin with https://"))?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let host = |it: u8| it.is_ascii_alphanumeric() || b"-.:[]".contains(&it);
        if authority.is_empty() || !authority.bytes().all(host) {
            return Err(BadBaseUrl("must name a host, and a port or none"));
        }
        let unreserved = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
        let good = |it: &str| !matches!(it, "" | "." | "..") && it.bytes().all(unreserved);
        if path.is_some_and(|it| !it.split('/').all(good)) {
            return Err(BadBaseUrl(
                "must have a path of plain segments or none: no slash at the end, no query, no fragment",
            ));
        }
        Ok(Self {
            url: url.to_owned(),
            origin: SCHEME.len() + authority.len(),
        })
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Its path: empty, or beginning with a slash.
    pub fn path(&self) -> &str {
        self.url.get(self.origin..).unwrap_or_default()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failing test should panic"
    )]

    use super::*;

    #[test]
    fn a_base_url_has_a_host_and_a_plain_path() {
        for (url, path) in [
            ("https://pdp.example.com", ""),
            ("https://pdp.example.com:8443", ""),
            ("https://[::1]:8443/a", "/a"),
            ("https://pdp/tenant-1/v2", "/tenant-1/v2"),
        ] {
            let base = BaseUrl::parse(url).unwrap();
            assert_eq!(base.as_str(), url);
            assert_eq!(base.path(), path, "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "",
            "pdp.example.com",
            "http://pdp.example.com",
            "https://",
            "https:///a",
            "https://pdp/",
            "https://pdp/a/",
            "https://pdp//a",
            "https://pdp/../a",
            "https://pdp?a=b",
            "https://pdp/a?b",
            "https://pdp/a#b",
            "https://pdp/{tenant}",
            "https://pdp/*rest",
            "https://pdp/a b",
            "https://user@pdp",
        ] {
            assert!(BaseUrl::parse(url).is_err(), "{url}");
        }
    }
}
