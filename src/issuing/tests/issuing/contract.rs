//! `issuing.proto` and the messages by hand are the same: every field that the one declares is written
//! by the other under that number and with that wire type, and no other is.

use std::collections::BTreeMap;

use countersign_issuing::{
    ISSUE_JWT, ISSUE_X509, IssueJwtRequest, IssueJwtResponse, IssueX509Request, IssueX509Response,
    PROTO, SERVICE, State, Trust, WATCH, WatchRequest, WatchResponse,
};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

fn trust() -> Trust {
    Trust {
        trust_domain: "a".to_owned(),
        roots: vec![vec![1], vec![2]],
        bundle_json: "b".to_owned(),
        sequence: 1,
        crls: vec![vec![1].into()],
        intermediates: vec![vec![1]],
    }
}

/// Each message with all of its fields: its name, its bytes, and how Debug names its fields.
fn written() -> Vec<(&'static str, Vec<u8>, String)> {
    fn one(
        name: &'static str,
        message: &(impl Message + std::fmt::Debug),
    ) -> (&'static str, Vec<u8>, String) {
        (name, message.encode_to_vec(), format!("{message:?}"))
    }
    let text = || "a".to_owned();
    vec![
        one("Trust", &trust()),
        one(
            "IssueX509Request",
            &IssueX509Request {
                pkcs10: vec![1],
                trust_domain: text(),
                identity: text(),
            },
        ),
        one(
            "IssueX509Response",
            &IssueX509Response {
                spiffe_id: text(),
                chain: vec![vec![1]],
                not_after: 1,
                renew_at: 1,
                trust: Some(trust()),
                serial_number: text(),
            },
        ),
        one(
            "IssueJwtRequest",
            &IssueJwtRequest {
                audience: vec![text()],
                identity: text(),
            },
        ),
        one(
            "IssueJwtResponse",
            &IssueJwtResponse {
                token: text(),
                not_after: 1,
                spiffe_id: text(),
            },
        ),
        one("WatchRequest", &WatchRequest { identity: text() }),
        one(
            "WatchResponse",
            &WatchResponse {
                state: State::Active.into(),
                spiffe_id: text(),
                reason: text(),
                message: text(),
                trust: Some(trust()),
                key_algorithm: text(),
                certificate_ttl_seconds: 1,
                reissue: true,
            },
        ),
    ]
}

#[test]
fn the_messages_are_those_of_the_contract() {
    let (declared, written) = (declared("message "), written());
    assert_eq!(declared.len(), written.len());
    for (message, bytes, debug) in written {
        let declared = &declared[message];
        let wire: BTreeMap<u32, _> = declared
            .iter()
            .map(|it| (it.number, wire(&it.kind)))
            .collect();
        assert_eq!(
            format!("{:?}", fields(&bytes)),
            format!("{wire:?}"),
            "{message}"
        );
        for field in declared {
            assert!(
                debug.contains(&format!("{}: ", field.name)),
                "{message}: {}",
                field.name
            );
        }
    }
}

#[test]
fn the_states_are_those_of_the_contract() {
    let declared = declared("enum ");
    let upper: Vec<_> = declared["State"]
        .iter()
        .map(|it| it.name.trim_start_matches("STATE_").to_owned())
        .collect();
    let ours: Vec<_> = (0..)
        .map_while(|number| State::try_from(number).ok())
        .map(|state| format!("{state:?}").to_uppercase())
        .collect();
    assert_eq!(upper, ours);
    for (number, field) in (0..).zip(&declared["State"]) {
        assert_eq!(field.number, number, "{}", field.name);
    }
}

#[test]
fn the_paths_are_those_of_the_contract() {
    let after = |word: &'static str| {
        let lines = PROTO.lines().map(str::trim);
        lines
            .filter_map(move |it| it.strip_prefix(word))
            .map(|it| it.split([' ', ';', '(', '{']).next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let service = format!("{}.{}", after("package ")[0], after("service ")[0]);
    assert_eq!(service, SERVICE);
    let paths: Vec<_> = after("rpc ")
        .iter()
        .map(|it| format!("/{service}/{it}"))
        .collect();
    assert_eq!(paths, [ISSUE_X509, ISSUE_JWT, WATCH]);
}

#[test]
fn a_token_is_not_in_the_debug_of_its_answer() {
    let answer = IssueJwtResponse {
        token: "secret".to_owned(),
        ..IssueJwtResponse::default()
    };
    assert!(!format!("{answer:?}").contains("secret"));
}

/// Number and wire type of each field that is written.
fn fields(mut rest: &[u8]) -> BTreeMap<u32, WireType> {
    let mut fields = BTreeMap::new();
    while !rest.is_empty() {
        let (number, wire) = decode_key(&mut rest).unwrap();
        skip_field(wire, number, &mut rest, DecodeContext::default()).unwrap();
        fields.insert(number, wire);
    }
    fields
}

fn wire(kind: &str) -> WireType {
    match kind {
        "bool" | "int64" | "State" => WireType::Varint,
        _ => WireType::LengthDelimited,
    }
}

struct Field {
    name: String,
    kind: String,
    number: u32,
}

/// The messages, or enums, of the contract, which is written plainly: a field a line.
fn declared(what: &str) -> BTreeMap<String, Vec<Field>> {
    let mut found = BTreeMap::<String, Vec<Field>>::new();
    let mut open = None;
    let lines = PROTO.lines().map(str::trim);
    for line in lines.filter(|it| !it.starts_with("//")) {
        if let Some(name) = line.strip_prefix(what) {
            let name = name.trim_end_matches([' ', '{']).to_owned();
            found.insert(name.clone(), Vec::new());
            open = Some(name);
        } else if line == "}" {
            open = None;
        } else if let (Some(message), Some((left, number))) = (&open, line.split_once(" = ")) {
            let (kind, name) = left.rsplit_once(' ').unwrap_or(("", left));
            found.get_mut(message).unwrap().push(Field {
                name: name.to_owned(),
                kind: kind.to_owned(),
                number: number.trim_end_matches(';').parse().unwrap(),
            });
        }
    }
    found
}
