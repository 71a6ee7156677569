//! A kind's definition as a page: what each field is, what it may be, and by which rules.

use std::fmt::Write as _;

use serde_json::Value;

/// The page of a CustomResourceDefinition.
pub(crate) fn page(definition: &Value) -> String {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let version = &spec["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut page = format!(
        "# {}\n\n<!-- generated from crds/{}.yaml: UPDATE=1 cargo test --test docs -->\n\n{}\n\n",
        text(&names["kind"]),
        text(&definition["metadata"]["name"]),
        cell(&text(&schema["description"])),
    );
    let scope = if spec["scope"] == "Cluster" {
        "in the cluster, not in a namespace"
    } else {
        "in a namespace"
    };
    writeln!(
        page,
        "`{}/{}`, {scope}. `kubectl get {}`, `kubectl explain {}.spec`.",
        text(&spec["group"]),
        text(&version["name"]),
        text(&names["shortNames"][0]),
        text(&names["shortNames"][0]),
    )
    .unwrap();
    fields(&mut page, "spec", &schema["properties"]["spec"]);
    rules(&mut page, schema);
    fields(&mut page, "status", &schema["properties"]["status"]);
    columns(&mut page, &version["additionalPrinterColumns"]);
    page
}

/// A table of all fields below `part`.
fn fields(page: &mut String, part: &str, schema: &Value) {
    let about = schema["description"].as_str().unwrap_or_default();
    writeln!(page, "\n## {part}\n\n{}\n", cell(about)).unwrap();
    page.push_str("| field | what it may be | default | |\n|---|---|---|---|\n");
    let top = page.len();
    below(page, "", schema);
    if page.len() == top {
        page.truncate(top - "| field | what it may be | default | |\n|---|---|---|---|\n".len());
    }
}

fn below(page: &mut String, path: &str, schema: &Value) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let default = if field["default"].is_null() {
            if required.contains(&name.as_str()) {
                "required".to_owned()
            } else {
                String::new()
            }
        } else {
            code(&field["default"].to_string())
        };
        let about = field["description"].as_str().unwrap_or_default();
        writeln!(
            page,
            "| `{path}` | {} | {default} | {} |",
            cell(&shape(field)),
            cell(about)
        )
        .unwrap();
        if !field["items"].is_null() {
            below(page, &format!("{path}[]"), &field["items"]);
        }
        if field["additionalProperties"]["type"] == "object" {
            below(page, &format!("{path}.*"), &field["additionalProperties"]);
        }
        below(page, &path, field);
    }
}

/// What a value may be: its type and its bounds.
fn shape(field: &Value) -> String {
    if let Some(words) = field["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .map(|it| code(it.as_str().unwrap_or_default()))
            .collect();
        return words.join(", ");
    }
    let kind = field["type"].as_str().unwrap_or("anything");
    match kind {
        "array" => format!(
            "list{} of: {}",
            range(field, "minItems", "maxItems", "entries"),
            shape(&field["items"])
        ),
        "object" if !field["additionalProperties"].is_null() => format!(
            "map{} of: {}",
            range(field, "minProperties", "maxProperties", "entries"),
            shape(&field["additionalProperties"])
        ),
        "string" => {
            let mut shape = match field["format"].as_str() {
                Some("date-time") => return "time (RFC 3339)".to_owned(),
                _ => format!(
                    "string{}",
                    range(field, "minLength", "maxLength", "characters")
                ),
            };
            if let Some(pattern) = field["pattern"].as_str() {
                write!(shape, ", {}", code(pattern)).unwrap();
            }
            shape
        }
        "integer" => format!("integer{}", range(field, "minimum", "maximum", "")),
        other => other.to_owned(),
    }
}

fn range(field: &Value, least: &str, most: &str, of: &str) -> String {
    let of = if of.is_empty() {
        String::new()
    } else {
        format!(" {of}")
    };
    match (field[least].as_i64(), field[most].as_i64()) {
        (None, None) => String::new(),
        (Some(least), None) => format!(", at least {least}{of}"),
        (None, Some(most)) => format!(", at most {most}{of}"),
        (Some(least), Some(most)) => format!(", {least} to {most}{of}"),
    }
}

/// The rules in CEL, of all depths.
fn rules(page: &mut String, schema: &Value) {
    let mut found = Vec::new();
    collect(&mut found, "", schema);
    if found.is_empty() {
        return;
    }
    page.push_str(
        "\n### Rules\n\nThe API server refuses what breaks one of these, and says so.\n\n",
    );
    page.push_str("| of | rule | in CEL |\n|---|---|---|\n");
    for (path, message, rule) in found {
        let path = if path.is_empty() {
            "the object".to_owned()
        } else {
            code(&path)
        };
        writeln!(page, "| {path} | {} | {} |", cell(&message), code(&rule)).unwrap();
    }
}

fn collect(found: &mut Vec<(String, String, String)>, path: &str, schema: &Value) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = rule["rule"].as_str().unwrap_or_default();
        let message = rule["message"].as_str().unwrap_or("–");
        found.push((path.to_owned(), message.to_owned(), text.to_owned()));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        collect(found, &path, field);
    }
    if !schema["items"].is_null() {
        collect(found, &format!("{path}[]"), &schema["items"]);
    }
    if !schema["additionalProperties"].is_null() {
        collect(found, &format!("{path}.*"), &schema["additionalProperties"]);
    }
}

fn columns(page: &mut String, columns: &Value) {
    page.push_str("\n## Columns\n\n| column | with | what it shows |\n|---|---|---|\n");
    for column in columns.as_array().into_iter().flatten() {
        let text = |name: &str| column[name].as_str().unwrap_or_default();
        let with = if column["priority"] == 1 {
            "`-o wide`"
        } else {
            ""
        };
        writeln!(
            page,
            "| {} | {with} | {} |",
            text("name").to_uppercase(),
            cell(text("description"))
        )
        .unwrap();
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        // Outside of code, what looks like a tag would be one.
        let part = if at % 2 == 0 {
            part.replace('<', "&lt;")
        } else {
            format!("`{part}`")
        };
        out.push_str(&part);
    }
    // A bar that is escaped already stays.
    out.replace("\\|", "|").replace('|', "\\|")
}

fn code(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("`{}`", text.replace('|', "\\|"))
}
