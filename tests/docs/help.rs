//! A program's `--help`, and that of all its commands, as a page.

use std::process::Command;

/// Lines of help are as long as they come; on a page they are not.
const WIDTH: usize = 100;

/// The page of `program`, which people call `name`.
pub(crate) fn page(program: &str, name: &str, about: &str) -> String {
    let mut page = format!("# {name}\n\n{about}\n");
    let mut commands = vec![Vec::new()];
    while !commands.is_empty() {
        let command: Vec<String> = commands.remove(0);
        let help = help(program, &command);
        if !command.is_empty() {
            page.push_str(&format!("\n## {name} {}\n", command.join(" ")));
        }
        page.push_str("\n```text\n");
        for line in help.trim_end().lines() {
            page.push_str(&wrapped(line));
        }
        page.push_str("```\n");
        let below = subcommands(&help).into_iter().map(|it| {
            let mut path = command.clone();
            path.push(it);
            path
        });
        // A command's own commands follow it.
        commands.splice(0..0, below);
    }
    page
}

/// Without anything of this machine: some defaults come from the environment.
fn help(program: &str, command: &[String]) -> String {
    let output = Command::new(program)
        .args(command)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {command:?} --help");
    String::from_utf8(output.stdout).unwrap()
}

fn subcommands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// A line, broken at spaces, each part as far in as the text of the first.
fn wrapped(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    // What stands in a second column goes on there.
    let column = line.trim_start().find("  ").map_or(indent, |gap| {
        let rest = &line[indent + gap..];
        indent + gap + rest.len() - rest.trim_start().len()
    });
    let mut out = String::new();
    let mut rest = line.trim_end();
    let mut first = true;
    loop {
        let room = if first {
            WIDTH
        } else {
            WIDTH - column.min(WIDTH / 2)
        };
        let start = if first { column } else { 0 };
        let end = if rest.chars().count() <= room {
            None
        } else {
            let limit = rest.char_indices().nth(room).map_or(rest.len(), |it| it.0);
            rest[..limit].rfind(' ').filter(|at| *at > start)
        };
        let (part, after) = match end {
            Some(at) => (&rest[..at], rest[at + 1..].trim_start()),
            None => (rest, ""),
        };
        if !first {
            out.push_str(&" ".repeat(column.min(WIDTH / 2)));
        }
        out.push_str(part);
        out.push('\n');
        if after.is_empty() {
            return out;
        }
        rest = after;
        first = false;
    }
}
