//! Identifiers that look, weigh and spread like real ones, and are the same in each run.

/// A UUID as the API server makes them.
pub(crate) fn uid(number: usize) -> String {
    let [high, low] = [mix(number, 1), mix(number, 2)];
    format!(
        "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

/// A certificate's serial number.
pub(crate) fn serial(number: usize) -> String {
    format!("{:016x}{:016x}", mix(number, 3), mix(number, 4))
}

/// As many bytes as a digest has.
pub(crate) fn digest(number: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (part, place) in (5..).zip(bytes.chunks_exact_mut(8)) {
        place.copy_from_slice(&mix(number, part).to_be_bytes());
    }
    bytes
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(number: usize, part: u64) -> u64 {
    let mut mixed = (number as u64)
        .wrapping_mul(16)
        .wrapping_add(part)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
