//! The page as one HTML file: a static table, and the details as JSON that a click shows.
//!
//! It is well-formed XML as well, so that a parser can check it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Column, Found, intro, words};
use crate::case;
use crate::report::Verdict;
use crate::row::{self, Proof, Standing};

const TEMPLATE: &str = include_str!("page.html");
/// So much of one call is shown; the saved run has the rest.
const LINE: usize = 400;

/// The whole page.
pub(super) fn page(columns: &[Column]) -> serde_json::Result<String> {
    let heads: String =
        columns.iter().map(|one| format!("<th>{}</th>", escape(&one.name))).collect();
    // In JSON these are escapes of the same characters, and in HTML they end nothing.
    let data = serde_json::to_string(&data(columns))?
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    Ok(TEMPLATE
        .replace("{{intro}}", &escape(&intro(columns)))
        .replace("{{cards}}", &columns.iter().map(card).collect::<String>())
        .replace("{{heads}}", &heads)
        .replace("{{rows}}", &rows(columns))
        // Last: what runtimes said must not be taken for a place to fill.
        .replace("{{data}}", &data))
}

fn card(column: &Column) -> String {
    let total = row::all().len();
    let part = |standing: Standing| {
        let count = column.count(standing);
        let share = count * 1000 / total;
        let word = words(standing).0;
        (count, format!("<i class=\"{word}\" style=\"width:{}.{}%\"></i>", share / 10, share % 10))
    };
    let (proven, first) = part(Standing::Proven);
    let (broken, second) = part(Standing::Broken);
    let (open, third) = part(Standing::Open);
    format!(
        "<div class=\"card\"><b>{}</b><div class=\"big\">{proven} <small class=\"soft\">/ {total}</small></div>\
         <div class=\"bar\">{first}{second}{third}</div>\
         <span class=\"soft\">{broken} broken, {open} open, {} without a case</span></div>\n",
        escape(&column.name),
        column.count(Standing::Unproven),
    )
}

fn rows(columns: &[Column]) -> String {
    let mut text = String::new();
    let mut section = "";
    for (number, row) in row::all().into_iter().enumerate() {
        if row.section != section {
            if !section.is_empty() {
                text += "</tbody>\n";
            }
            section = row.section;
            text += &format!(
                "<tbody>\n<tr class=\"section\"><th colspan=\"{}\">{section}</th></tr>\n",
                columns.len() + 2
            );
        }
        let cases = match row.proof {
            Proof::Cases(cases) => cases.join(" "),
            Proof::Unproven(why) => why.to_owned(),
        };
        let level = row.level.word();
        let found = format!("{} {} {} {cases}", row.id, row.text, row.section).to_lowercase();
        text += &format!(
            "<tr class=\"row\" data-level=\"{level}\" data-text=\"{}\"><td>{}<br/><code>{}</code></td><td class=\"level\">{level}</td>",
            escape(&found),
            escape(row.text),
            row.id,
        );
        for (runtime, column) in columns.iter().enumerate() {
            let (word, sign) = words(column.standing(row));
            text += &format!(
                "<td><button type=\"button\" class=\"{word}\" data-row=\"{number}\" data-runtime=\"{runtime}\">{sign} {word}</button></td>"
            );
        }
        text += "</tr>\n";
    }
    text + "</tbody>\n"
}

/// What a click shows.
fn data(columns: &[Column]) -> Value {
    let rows: Vec<Value> = row::all()
        .iter()
        .map(|row| {
            let (cases, why) = match row.proof {
                Proof::Cases(cases) => (cases, None),
                Proof::Unproven(why) => (&[][..], Some(why)),
            };
            json!({ "id": row.id, "level": row.level.word(), "section": row.section,
                "text": row.text, "cases": cases, "unproven": why })
        })
        .collect();
    let sentences: BTreeMap<_, _> =
        case::all().into_iter().map(|case| (case.name, case.what)).collect();
    let runtimes: Vec<Value> = columns
        .iter()
        .map(|column| {
            let cases: BTreeMap<_, _> =
                column.cases.iter().map(|(name, found)| (name, details(found))).collect();
            json!({ "name": column.name, "hosts": column.hosts, "cases": cases })
        })
        .collect();
    json!({ "rows": rows, "cases": sentences, "runtimes": runtimes })
}

fn details(Found { host, case }: &Found) -> Value {
    if case.verdict == Verdict::Passed {
        return json!({ "verdict": case.verdict, "host": host });
    }
    let journal: Vec<String> = case.journal.iter().map(|entry| cut(entry)).collect();
    let found = if case.found == case.reason { String::new() } else { cut(&case.found) };
    json!({ "verdict": case.verdict, "host": host, "reason": cut(&case.reason), "found": found,
        "journal": journal, "configs": case.configs })
}

fn cut(text: &str) -> String {
    let cut = |line: &str| {
        let short: String = line.chars().take(LINE).collect();
        if short.len() < line.len() { short + " …" } else { short }
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::columns;
    use super::*;

    #[test]
    fn the_page_is_well_formed_and_has_a_cell_for_each_row_and_runtime() {
        let text = page(&columns()).unwrap();
        let body = text.strip_prefix("<!DOCTYPE html>").unwrap();
        let document = roxmltree::Document::parse(body).expect("well-formed");
        let of = |class: &str| {
            let nodes = document.descendants().filter(|one| one.attribute("class") == Some(class));
            nodes.collect::<Vec<_>>()
        };
        let total = row::all().len();
        assert_eq!(of("row").len(), total);
        let cells = document.descendants().filter(|one| one.has_attribute("data-runtime")).count();
        assert_eq!(cells, 2 * total);
        assert_eq!(
            document
                .descendants()
                .filter(|o| o.attribute("class") == Some("broken")
                    && o.is_element()
                    && o.has_tag_name("button"))
                .count(),
            1
        );
        // Nothing is fetched from anywhere.
        assert!(
            !document
                .descendants()
                .any(|one| one.has_attribute("src") || one.has_attribute("href"))
        );
    }

    #[test]
    fn a_run_can_be_reported_as_the_page() {
        let text = crate::report::tests::written(crate::args::Format::Html);
        let body = text.strip_prefix("<!DOCTYPE html>").unwrap();
        roxmltree::Document::parse(body).expect("well-formed");
        assert!(text.contains("a &lt;runtime&gt; &amp; &quot;more&quot;"), "{text}");
    }

    #[test]
    fn what_a_runtime_said_comes_back_out_of_the_data_unchanged() {
        let text = page(&columns()).unwrap();
        let data = text.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        let cwd = &data["runtimes"][1]["cases"]["process/cwd"];
        assert_eq!(cwd["reason"], "got \"</script>\" ]]> | want &amp;");
        assert_eq!(cwd["configs"][0]["process"]["cwd"], "/x");
        let rows = data["rows"].as_array().unwrap();
        assert_eq!(rows.len(), row::all().len());
    }
}
