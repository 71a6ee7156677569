//! Append-only, hash-chained records of everything that grants, renews, ends or refuses.
