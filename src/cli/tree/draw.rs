//! Trees as text, Mermaid and DOT. Whatever others wrote is a label: it can't become a part of the
//! drawing.

use jiff::Timestamp;

use super::node::{Graph, Node, NodeKind};
use crate::grants;
use crate::standing::State;
use crate::text::{clean, relative, short};

/// A message is shown so far.
const MESSAGE: usize = 160;
/// Grants are shown so far in a box.
const BOX: usize = 60;

/// With box-drawing characters; `colours` for a terminal that shows them.
pub(crate) fn text(trees: &[Node], now: Timestamp, colours: bool) -> String {
    let mut lines = Vec::new();
    for tree in trees {
        lines.push(line(tree, now, colours));
        below(tree, "", now, colours, &mut lines);
    }
    lines.join("\n")
}

fn below(node: &Node, indent: &str, now: Timestamp, colours: bool, lines: &mut Vec<String>) {
    let last = node.children.len().saturating_sub(1);
    for (place, child) in node.children.iter().enumerate() {
        let (branch, next) = if place == last {
            ("└── ", "    ")
        } else {
            ("├── ", "│   ")
        };
        lines.push(format!("{indent}{branch}{}", line(child, now, colours)));
        below(child, &format!("{indent}{next}"), now, colours, lines);
    }
}

fn line(node: &Node, now: Timestamp, colours: bool) -> String {
    let state = state(node);
    let mut line = format!(
        "{} {}  {}",
        node.kind.as_str(),
        clean(&node.qualified()),
        if colours {
            node.state.coloured(&state)
        } else {
            state
        }
    );
    if let Some(owner) = &node.owner {
        line.push_str(&format!("  of owner {}", clean(owner)));
    }
    if let Some(expires) = node.expires.filter(|_| node.state != State::Over) {
        let what = if node.kind == NodeKind::Agent {
            "certificate ends"
        } else {
            "ends"
        };
        line.push_str(&format!("  {what} {}", relative(expires, now)));
    }
    if node.kind == NodeKind::Delegation {
        line.push_str(&format!(
            "  {}",
            short(&grants::line(&node.grants), MESSAGE)
        ));
    }
    if !node.message.is_empty() && !matches!(node.state, State::Ready) {
        line.push_str(&format!("  ({})", short(&node.message, MESSAGE)));
    }
    line
}

/// In words: `Ready`, or `Stalled GrantsWiden`.
fn state(node: &Node) -> String {
    match node.kind {
        NodeKind::Owner | NodeKind::Task => clean(&node.reason),
        _ if node.state == State::Ready || node.reason.is_empty() => node.state.as_str().to_owned(),
        _ => format!("{} {}", node.state.as_str(), clean(&node.reason)),
    }
}

/// As a Mermaid flowchart.
pub(crate) fn mermaid(trees: &[Node]) -> String {
    let graph = Graph::of(trees);
    let mut lines = vec!["flowchart TD".to_owned()];
    for (place, node) in graph.nodes.iter().enumerate() {
        let label: Vec<String> = labels(node).iter().map(|it| mermaid_escape(it)).collect();
        let label = label.join("<br/>");
        let (open, close) = match node.kind {
            NodeKind::Owner => ("([", "])"),
            NodeKind::Agent => ("[", "]"),
            NodeKind::Delegation => ("{{", "}}"),
            NodeKind::Task => ("[/", "/]"),
            NodeKind::Rootless => ("(", ")"),
        };
        let class = node.state.as_str().to_lowercase();
        lines.push(format!("  n{place}{open}\"{label}\"{close}:::{class}"));
    }
    for (from, to) in &graph.edges {
        lines.push(format!("  n{from} --> n{to}"));
    }
    for (state, style) in STYLES {
        lines.push(format!(
            "  classDef {} {}",
            state.as_str().to_lowercase(),
            style.mermaid
        ));
    }
    lines.join("\n")
}

/// As a Graphviz digraph.
pub(crate) fn dot(trees: &[Node]) -> String {
    let graph = Graph::of(trees);
    let mut lines = vec![
        "digraph countersign {".to_owned(),
        "  rankdir=TB;".to_owned(),
        "  node [shape=box, style=filled, fontname=\"sans-serif\"];".to_owned(),
    ];
    for (place, node) in graph.nodes.iter().enumerate() {
        let label: Vec<String> = labels(node).iter().map(|it| dot_escape(it)).collect();
        let shape = match node.kind {
            NodeKind::Owner => "ellipse",
            NodeKind::Agent => "box",
            NodeKind::Delegation => "hexagon",
            NodeKind::Task => "parallelogram",
            NodeKind::Rootless => "plaintext",
        };
        let style = STYLES.iter().find(|(state, _)| *state == node.state);
        let colour = style.map_or("#ffffff", |(_, style)| style.fill);
        lines.push(format!(
            "  n{place} [label=\"{}\", shape={shape}, fillcolor=\"{colour}\"];",
            label.join("\\n")
        ));
    }
    for (from, to) in &graph.edges {
        lines.push(format!("  n{from} -> n{to};"));
    }
    lines.push("}".to_owned());
    lines.join("\n")
}

/// The lines of a box.
fn labels(node: &Node) -> Vec<String> {
    let mut labels = vec![
        format!("{} {}", node.kind.as_str(), node.qualified()),
        state(node),
    ];
    if node.kind == NodeKind::Delegation {
        labels.push(short(&grants::line(&node.grants), BOX));
    }
    labels
}

struct Style {
    fill: &'static str,
    mermaid: &'static str,
}

/// Colour and words: nobody has to tell red from green.
const STYLES: [(State, Style); 6] = [
    (
        State::Ready,
        Style {
            fill: "#d7f5dc",
            mermaid: "fill:#d7f5dc,stroke:#1a7f37,color:#000",
        },
    ),
    (
        State::Waiting,
        Style {
            fill: "#fff3c4",
            mermaid: "fill:#fff3c4,stroke:#9a6700,color:#000",
        },
    ),
    (
        State::Stalled,
        Style {
            fill: "#ffd7d5",
            mermaid: "fill:#ffd7d5,stroke:#cf222e,color:#000",
        },
    ),
    (
        State::Suspended,
        Style {
            fill: "#ffe2c2",
            mermaid: "fill:#ffe2c2,stroke:#bc4c00,color:#000,stroke-dasharray:4",
        },
    ),
    (
        State::Over,
        Style {
            fill: "#e6e6e6",
            mermaid: "fill:#e6e6e6,stroke:#6e7781,color:#444",
        },
    ),
    (
        State::Unknown,
        Style {
            fill: "#ffffff",
            mermaid: "fill:#fff,stroke:#6e7781,color:#444,stroke-dasharray:2",
        },
    ),
];

/// Within a quoted label of Mermaid: entity codes for whatever means something to it or to HTML
/// (<https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters>).
fn mermaid_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in clean(text).chars() {
        match it {
            '"' | '#' | '<' | '>' | '&' | ';' | '`' | '\\' | '*' | '_' | '~' | '%' | '[' | ']'
            | '{' | '}' => escaped.push_str(&format!("#{};", u32::from(it))),
            _ => escaped.push(it),
        }
    }
    escaped
}

/// Within a quoted string of DOT: a backslash begins an escape, such as `\N` for the node's name.
fn dot_escape(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('"', "\\\"")
}
