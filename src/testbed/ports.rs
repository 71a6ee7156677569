//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};
use rand::RngExt as _;

/// Below the range that the kernel hands to outgoing connections (32768 and up on Linux): a
/// program that is killed and started again on its port must find it still free.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port that nobody listened on a moment ago. Two callers can be given the same one, so that
/// whoever uses it must be ready to try again.
pub(crate) fn free_port() -> Result<u16> {
    const TRIES: usize = 100;
    let mut random = rand::rng();
    for _ in 0..TRIES {
        let port = random.random_range(RANGE);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port found on 127.0.0.1 in {RANGE:?}")
}
