//! `watch.proto` and the messages by hand are the same: every field that the one declares is written
//! by the other under that number and with that wire type, and no other is.

use std::collections::{BTreeMap, HashMap};

use countersign_extauthz::WATCH;
use countersign_extauthz::watch::{Context, Obligation, PROTO, WatchRequest, WatchResponse};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

fn obligation() -> Obligation {
    Obligation {
        r#type: "a".to_owned(),
        properties: "b".to_owned(),
    }
}

fn context() -> Context {
    Context {
        source_ip: "a".to_owned(),
        tool: "b".to_owned(),
        bytes: 1,
        destructive: true,
        audience: "c".to_owned(),
        request_id: "d".to_owned(),
    }
}

#[test]
fn the_messages_are_those_of_the_contract() {
    let request = WatchRequest {
        agent: "a".to_owned(),
        certificate: vec![1],
        action: "b".to_owned(),
        resource: "c".to_owned(),
        resource_type: "d".to_owned(),
        resource_properties: HashMap::from([("e".to_owned(), "f".to_owned())]),
        delegation: "g".to_owned(),
        context: Some(context()),
    };
    let response = WatchResponse {
        allowed: true,
        reason: "a".to_owned(),
        decision: "b".to_owned(),
        explanation: "c".to_owned(),
        time: "d".to_owned(),
        obligations: vec![obligation()],
    };
    // Debug names the fields.
    let written = [
        ("WatchRequest", fields(&request), format!("{request:?}")),
        ("Context", fields(&context()), format!("{:?}", context())),
        ("WatchResponse", fields(&response), format!("{response:?}")),
        (
            "Obligation",
            fields(&obligation()),
            format!("{:?}", obligation()),
        ),
    ];
    let declared = declared();
    assert_eq!(declared.len(), written.len());
    for (message, fields, debug) in written {
        let declared = &declared[message];
        let wire: BTreeMap<u32, WireType> =
            declared.iter().map(|it| (it.number, it.wire)).collect();
        assert_eq!(format!("{fields:?}"), format!("{wire:?}"), "{message}");
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
fn the_path_is_that_of_the_contract() {
    let after = |word: &str| {
        let line = PROTO.lines().find_map(|it| it.trim().strip_prefix(word));
        let name = line
            .unwrap()
            .split([' ', ';', '(', '{'])
            .find(|it| !it.is_empty());
        name.unwrap().to_owned()
    };
    let path = format!(
        "/{}.{}/{}",
        after("package "),
        after("service "),
        after("rpc ")
    );
    assert_eq!(path, WATCH);
}

/// Number and wire type of each field that is written.
fn fields(message: &impl Message) -> BTreeMap<u32, WireType> {
    let bytes = message.encode_to_vec();
    let mut rest = bytes.as_slice();
    let mut fields = BTreeMap::new();
    while !rest.is_empty() {
        let (number, wire) = decode_key(&mut rest).unwrap();
        skip_field(wire, number, &mut rest, DecodeContext::default()).unwrap();
        fields.insert(number, wire);
    }
    fields
}

struct Field {
    name: String,
    number: u32,
    wire: WireType,
}

/// The messages of the contract, which is written plainly: a field a line.
fn declared() -> BTreeMap<String, Vec<Field>> {
    let mut messages = BTreeMap::<String, Vec<Field>>::new();
    let mut open = None;
    for line in PROTO
        .lines()
        .map(str::trim)
        .filter(|it| !it.starts_with("//"))
    {
        if let Some(name) = line.strip_prefix("message ") {
            let name = name.trim_end_matches([' ', '{']).to_owned();
            messages.insert(name.clone(), Vec::new());
            open = Some(name);
        } else if line == "}" {
            open = None;
        } else if let (Some(message), Some((left, number))) = (&open, line.split_once(" = ")) {
            let (kind, name) = left.rsplit_once(' ').unwrap();
            messages.get_mut(message).unwrap().push(Field {
                name: name.to_owned(),
                number: number.trim_end_matches(';').parse().unwrap(),
                wire: match kind {
                    "bool" | "uint64" => WireType::Varint,
                    _ => WireType::LengthDelimited,
                },
            });
        }
    }
    messages
}
