//! Falco's alerts (<https://falco.org/docs/concepts/outputs/channels/>, `http_output` and Falcosidekick's
//! webhook) as signals.

use aws_lc_rs::digest::{Context, SHA256};
use countersign_core::json::Object;
use countersign_decision::{Effect, Signal, SignalSubject};
use countersign_http::shown;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::checks::is_object;
use crate::header::json;
use crate::token::{MAX_AGE, MAX_SKEW};

/// The source of all of Falco's signals.
pub const SOURCE: &str = "falco";
/// What a program did an hour ago says little of what it does.
pub const LASTS: SignedDuration = SignedDuration::from_hours(1);

/// An alert, as far as it is read: not `output`, nor most of `output_fields`, since command lines
/// and paths are often about a person.
#[derive(Debug, Clone, Deserialize)]
struct Alert {
    uuid: Option<String>,
    rule: String,
    priority: String,
    time: Timestamp,
    #[serde(default)]
    output_fields: Object<Fields>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Fields {
    #[serde(rename = "k8s.ns.name")]
    namespace: Option<Value>,
    #[serde(rename = "k8s.pod.name")]
    pod: Option<Value>,
}

/// Reads one alert: a signal, or nothing where it isn't about a pod.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8], now: Timestamp) -> Result<Option<Signal>, String> {
    let Object(alert): Object<Alert> = json(bytes)?;
    let severity = severity(&alert.priority)
        .ok_or_else(|| format!("the priority {:?} is not known", shown(&alert.priority)))?;
    let age = now.duration_since(alert.time);
    if age > MAX_AGE || -age > MAX_SKEW {
        return Err("its time is more than a day ago, or in the future".to_owned());
    }
    let rule: String = shown(&alert.rule);
    if rule.is_empty() {
        return Err("it names no rule".to_owned());
    }
    let (Some(namespace), Some(name)) = (
        object(alert.output_fields.0.namespace),
        object(alert.output_fields.0.pod),
    ) else {
        return Ok(None);
    };
    let id = match alert.uuid {
        Some(id) if (1..=64).contains(&id.len()) => shown(&id),
        _ => digest(&[&alert.rule, &alert.time.to_string(), &namespace, &name]),
    };
    Ok(Some(Signal {
        id,
        source: SOURCE.to_owned(),
        subject: SignalSubject::Pod { namespace, name },
        kind: format!("falco/{rule}"),
        severity,
        observed: alert.time.min(now),
        lifetime: LASTS,
        effect: Effect::Risk,
        why: format!("Falco saw: {rule} ({})", shown(&alert.priority)),
    }))
}

/// Of Falco's priorities (<https://falco.org/docs/concepts/rules/basic-elements/#priority>), those of
/// syslog: what a rule's author calls an error is more than half of the way to certain.
fn severity(priority: &str) -> Option<u8> {
    Some(match priority.to_ascii_lowercase().as_str() {
        "emergency" => 100,
        "alert" => 90,
        "critical" => 80,
        "error" => 60,
        "warning" => 40,
        "notice" => 20,
        "informational" | "info" => 5,
        "debug" => 0,
        _ => return None,
    })
}

/// The name of an object; none for `null` and `<NA>`, which stand for what isn't known.
fn object(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(name)) if is_object(&name) => Some(name),
        _ => None,
    }
}

/// A name for an alert that has none, the same for the same alert.
fn digest(parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex::encode(context.finish())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    /// In the form of the documentation's sample.
    const SHELL: &str = r#"{"hostname":"falco-xczjd","output":"13:44:05.478445995: Critical A shell was spawned in a container with an attached terminal (user=root user_loginuid=-1 k8s.ns=finance k8s.pod=planner-7d4f container=ee97d9c4186f)","priority":"Critical","rule":"Terminal shell in container","source":"syscall","tags":["container","mitre_execution","shell"],"time":"2026-11-24T13:44:05.478445995Z","output_fields":{"container.id":"ee97d9c4186f","evt.time":1796219045478445995,"k8s.ns.name":"finance","k8s.pod.name":"planner-7d4f","proc.cmdline":"sh","user.name":"root"}}"#;

    fn now() -> Timestamp {
        "2026-11-24T13:44:06Z".parse().unwrap()
    }

    #[test]
    fn an_alert_about_a_pod_is_a_signal() {
        let signal = read(SHELL.as_bytes(), now()).unwrap().unwrap();
        assert_eq!(signal.kind, "falco/Terminal shell in container");
        assert_eq!(signal.severity, 80);
        assert_eq!(signal.effect, Effect::Risk);
        assert_eq!(
            signal.observed,
            "2026-11-24T13:44:05.478445995Z".parse().unwrap()
        );
        let pod = SignalSubject::Pod {
            namespace: "finance".to_owned(),
            name: "planner-7d4f".to_owned(),
        };
        assert_eq!(signal.subject, pod);
        assert!(!signal.why.contains("root"), "no data about a person");
        let again = read(SHELL.as_bytes(), now()).unwrap().unwrap();
        assert_eq!(signal.id, again.id, "the same alert is the same signal");
    }

    #[test]
    fn an_alert_that_is_about_no_pod_is_none() {
        for (from, to) in [
            (r#""k8s.pod.name":"planner-7d4f""#, r#""k8s.pod.name":null"#),
            (
                r#""k8s.pod.name":"planner-7d4f""#,
                r#""k8s.pod.name":"<NA>""#,
            ),
            (r#""k8s.ns.name":"finance","#, ""),
        ] {
            let host = SHELL.replace(from, to);
            assert_eq!(read(host.as_bytes(), now()), Ok(None), "{to}");
        }
    }

    #[test]
    fn each_priority_has_its_severity() {
        let of = |priority: &str| {
            let alert = SHELL.replace(
                r#""priority":"Critical""#,
                &format!(r#""priority":"{priority}""#),
            );
            read(alert.as_bytes(), now()).map(|it| it.unwrap().severity)
        };
        let all = [
            "Emergency",
            "Alert",
            "Critical",
            "Error",
            "Warning",
            "Notice",
            "Informational",
            "Debug",
        ];
        let severities: Vec<u8> = all.iter().map(|it| of(it).unwrap()).collect();
        assert_eq!(severities, [100, 90, 80, 60, 40, 20, 5, 0]);
        assert!(of("Apocalyptic").is_err());
    }

    #[test]
    fn what_is_no_alert_of_today_is_an_error() {
        let at = |time: &str| read(SHELL.as_bytes(), time.parse().unwrap());
        assert!(at("2026-11-25T13:44:05Z").is_ok());
        assert!(at("2026-11-25T13:44:06Z").is_err());
        assert!(at("2026-11-24T13:43:05Z").is_err());
        let deep = "[".repeat(10_000);
        for bad in ["", "{}", "[]", "null", r#"{"rule":7}"#, &deep] {
            assert!(read(bad.as_bytes(), now()).is_err(), "{bad}");
        }
        assert!(read(b"\xff\xfe", now()).is_err());
        let mut skipped = SHELL.as_bytes().to_vec();
        let place = SHELL.find("falco-xczjd").unwrap();
        skipped[place] = 0xff;
        assert!(read(&skipped, now()).is_err(), "in what isn't read either");
    }
}
