//! Signed delegation statements and the rules of a chain of them.
