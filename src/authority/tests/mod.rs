//! What the authority promises, sentence by sentence.

mod backup;
mod bundle;
mod byo;
mod fixture;
mod inspect;
mod issue;
mod never_panics;
mod openssl;
mod request;
mod rotation;
mod rotation_properties;
mod secrecy;
mod state;
