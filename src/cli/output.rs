//! What a command prints: to stdout, and nothing but its answer.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::text::clean;

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[value(alias = "text")]
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

/// Prints `text` and a line end. A reader that has gone, such as `head`, is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    match written {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("write to stdout"),
    }
}

/// `value` as JSON or YAML, or what `table` makes of it.
pub(crate) fn shown<T: Serialize>(
    format: Format,
    value: &T,
    table: impl FnOnce(&T) -> String,
) -> Result<String> {
    match format {
        Format::Table => Ok(table(value)),
        Format::Json => serde_json::to_string_pretty(value).context("write JSON"),
        Format::Yaml => yaml(value),
    }
}

/// `value` as YAML.
pub(crate) fn yaml<T: Serialize>(value: &T) -> Result<String> {
    // By way of JSON: what a type writes of itself there is what the API server has.
    let value = serde_json::to_value(value).context("write YAML")?;
    serde_saphyr::to_string(&value).context("write YAML")
}

/// Columns as kubectl's: no lines, as wide as what is in them. Everything in it is cleaned.
pub(crate) fn columns<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head);
    for row in rows {
        table.add_row(row.map(|cell| clean(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// May stdout have colours? Not unless it is a terminal, nor when the user wants none
/// (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_and_no_lines() {
        let rows = vec![
            ["a".to_owned(), "long one".to_owned(), "x".to_owned()],
            ["日本".to_owned(), String::new(), "\u{1b}[2J".to_owned()],
        ];
        let table = columns(["NAME", "WHAT", "STATE"], rows);
        assert_eq!(
            table,
            "NAME  WHAT      STATE\na     long one  x\n日本            \u{fffd}[2J"
        );
    }
}
