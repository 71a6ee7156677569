//! What the authority promises, sentence by sentence.

mod backup;
mod bundle;
mod byo;
mod crl;
mod crl_openssl;
mod fixture;
mod inspect;
mod issue;
mod jose;
mod never_panics;
mod openssl;
mod request;
mod rotation;
mod rotation_properties;
mod secrecy;
mod spiffe_bundle;
mod state;
mod svid;
mod svid_profile;
