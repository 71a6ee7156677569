//! The URL by which the world knows a trust domain.

use std::fmt;

use crate::error::shown;

/// The longest URL.
const MAX_BYTES: usize = 512;

/// An issuer URL (OpenID Connect Discovery 1.0, section 2): `https`, a host in lower case, a port
/// where it isn't 443, a path of plain segments or none; no query, fragment or trailing slash. It is
/// compared byte by byte, so that there must be only one way to write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerUrl {
    url: String,
    path_at: usize,
}

/// Why something is no issuer URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "issuer URL {0:?} must be https://HOST[:PORT][/PATH] of at most 512 bytes, the host in lower case, without query, fragment or trailing slash"
)]
pub struct BadIssuerUrl(String);

impl IssuerUrl {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, BadIssuerUrl> {
        let bad = || BadIssuerUrl(shown(url));
        let rest = url.strip_prefix("https://").ok_or_else(bad)?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let segments_good = path.is_none_or(|path| path.split('/').all(good_segment));
        if url.len() > MAX_BYTES || !good_authority(authority) || !segments_good {
            return Err(bad());
        }
        Ok(Self {
            url: url.to_owned(),
            path_at: url.len() - path.map_or(0, |path| path.len() + 1),
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Host and, where there is one, port.
    pub fn authority(&self) -> &str {
        let authority = self.url.get("https://".len()..self.path_at);
        authority.unwrap_or_default()
    }

    /// The path: empty, or with a slash in front and none behind.
    pub fn path(&self) -> &str {
        self.url.get(self.path_at..).unwrap_or_default()
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

fn good_authority(authority: &str) -> bool {
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let good_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // 443 goes without saying: written out it would be another issuer.
    let good_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && !port.starts_with('0')
            && port.parse::<u16>().is_ok_and(|port| port != 443)
    };
    host.split('.').all(good_label) && port.is_none_or(good_port)
}

fn good_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}
