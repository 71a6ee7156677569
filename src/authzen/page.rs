//! The tokens of a search's pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_decision::{Authority, Caller, Search};
use sha2::{Digest as _, Sha256};

use crate::refused::Refused;

/// The bytes of a token before the place where its page begins.
const CHECK: usize = 16;

/// The longest token: a path or a SPIFFE ID is in it.
const MOST: usize = 8 << 10;

/// The token of the page of `search` that begins after `after`.
///
/// It is base64url of a part of a SHA-256 and of `after`, and good for the same search of the same
/// caller at any replica. It is no secret and grants nothing: who makes one up gets a page that a
/// search for it would have reached.
pub(crate) fn token(caller: &Caller, search: &Search, after: &str) -> String {
    let mut bytes = check(caller, search, after).to_vec();
    bytes.extend_from_slice(after.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page begins that a token is of.
///
/// # Errors
/// It isn't a token of this search and caller.
pub(crate) fn read(caller: &Caller, search: &Search, token: &str) -> Result<String, Refused> {
    let bad = || Refused::bad("page.token is of another search, or none");
    if token.len() > MOST {
        return Err(bad());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let (found, after) = bytes.split_at_checked(CHECK).ok_or_else(bad)?;
    let after = str::from_utf8(after).map_err(|_| bad())?;
    if found == check(caller, search, after) {
        Ok(after.to_owned())
    } else {
        Err(bad())
    }
}

/// Over all that the pages of a search have in common, and the place. The name of the request and the
/// size of the page may differ.
fn check(caller: &Caller, search: &Search, after: &str) -> [u8; CHECK] {
    let mut parts = Parts(Sha256::new_with_prefix("countersign authzen page 1"));
    parts.add(Some(&caller.name));
    parts.add(search.agent.as_deref());
    parts.add(search.action.as_deref());
    parts.add(search.resource_kind.as_deref());
    if let Some(resource) = &search.resource {
        parts.add(Some(&resource.kind));
        parts.add(Some(&resource.path));
        for (name, value) in &resource.properties {
            parts.add(Some(name));
            parts.add(Some(value));
        }
    }
    parts.add(None);
    match &search.authority {
        None => parts.add(None),
        Some(Authority::Digest(digest)) => parts.add(Some(&digest.to_string())),
        Some(Authority::Statements(statements)) => {
            for statement in statements {
                parts.add(Some(statement));
            }
        }
    }
    parts.add(None);
    let call = &search.call;
    parts.add(call.source_ip.map(|it| it.to_string()).as_deref());
    parts.add(call.tool.as_deref());
    parts.add(call.audience.as_deref());
    parts.add(Some(&call.bytes.to_string()));
    parts.add(Some(&call.destructive.to_string()));
    parts.add(Some(after));
    let mut check = [0; CHECK];
    let hash = parts.0.finalize();
    check.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    check
}

/// Parts of which none runs into the next.
struct Parts(Sha256);

impl Parts {
    fn add(&mut self, part: Option<&str>) {
        let length = part.map_or(u64::MAX, |it| it.len() as u64);
        self.0.update(length.to_be_bytes());
        self.0.update(part.unwrap_or_default());
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

    use countersign_decision::{Call, ResourceRef};

    use super::*;

    fn caller(name: &str) -> Caller {
        Caller {
            name: name.to_owned(),
            vouches: true,
            authoritative: true,
        }
    }

    fn search() -> Search {
        Search {
            agent: Some("alice".to_owned()),
            action: None,
            resource: Some(ResourceRef {
                kind: "record".to_owned(),
                path: "record-1".to_owned(),
                ..ResourceRef::default()
            }),
            resource_kind: None,
            authority: None,
            call: Call::default(),
            after: None,
            limit: 10,
        }
    }

    #[test]
    fn a_token_comes_back_for_its_own_search() {
        let gateway = caller("gateway");
        for after in ["", "read", "ä/ü", &"x".repeat(2048)] {
            let token = token(&gateway, &search(), after);
            assert_eq!(read(&gateway, &search(), &token).unwrap(), after);
        }
    }

    #[test]
    fn the_size_of_the_page_and_the_name_of_the_request_may_change() {
        let gateway = caller("gateway");
        let token = token(&gateway, &search(), "read");
        let mut next = search();
        next.limit = 3;
        next.call.request_id = Some("2".to_owned());
        assert_eq!(read(&gateway, &next, &token).unwrap(), "read");
    }

    #[test]
    fn a_token_is_bad_for_another_search_and_another_caller() {
        let gateway = caller("gateway");
        let token = token(&gateway, &search(), "read");
        let changes: [fn(&mut Search); 6] = [
            |it| it.agent = Some("bob".to_owned()),
            |it| it.resource.as_mut().unwrap().path = "record-2".to_owned(),
            |it| it.resource.as_mut().unwrap().kind = "recor".to_owned(),
            |it| {
                let properties = &mut it.resource.as_mut().unwrap().properties;
                properties.insert("a".to_owned(), "b".to_owned());
            },
            |it| it.call.destructive = true,
            |it| it.authority = Some(Authority::Statements(vec!["a.b.c".to_owned()])),
        ];
        for change in changes {
            let mut other = search();
            change(&mut other);
            assert!(read(&gateway, &other, &token).is_err(), "{other:?}");
        }
        assert!(read(&caller("other"), &search(), &token).is_err());
    }

    #[test]
    fn what_is_no_token_is_bad() {
        let gateway = caller("gateway");
        let good = token(&gateway, &search(), "read");
        let mut changed = good.clone().into_bytes();
        changed[3] ^= 1;
        for bad in [
            "",
            "AAAA",
            "not base64!",
            &good[..good.len() - 4],
            &format!("{good}AAAA"),
            &format!("{good}="),
            &String::from_utf8(changed).unwrap(),
            &"A".repeat(9000),
        ] {
            assert!(read(&gateway, &search(), bad).is_err(), "{bad}");
        }
    }
}
