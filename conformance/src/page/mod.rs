//! The compatibility page: rows of the specification against runtimes, as Markdown and as one HTML
//! file that needs no network. Owns what is on it; the results come from saved runs.

mod html;
mod markdown;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use crate::args::{Format, PageOptions, RunOptions};
use crate::report::{CaseResult, Run, VERSION, Verdict};
use crate::row::{self, Row, Standing};
use crate::runner;

/// One column.
#[derive(Debug)]
struct Column {
    /// What its `--version` says.
    name: String,
    host: String,
    cases: BTreeMap<String, CaseResult>,
}

impl Column {
    fn new(run: Run) -> Self {
        let cases = run.cases.into_iter().map(|case| (case.name.clone(), case)).collect();
        Self { name: run.runtime, host: run.host, cases }
    }

    fn standing(&self, row: &Row) -> Standing {
        row::standing(row, &self.verdicts())
    }

    fn verdicts(&self) -> BTreeMap<&str, Verdict> {
        self.cases.iter().map(|(name, case)| (name.as_str(), case.verdict)).collect()
    }

    fn count(&self, wanted: Standing) -> usize {
        let verdicts = self.verdicts();
        row::all().iter().filter(|row| row::standing(row, &verdicts) == wanted).count()
    }
}

/// Word and sign of a standing; the word is a class of the style sheet, too.
fn words(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::Proven => ("proven", "✓"),
        Standing::Broken => ("broken", "✗"),
        Standing::Open => ("open", "?"),
        Standing::Unproven => ("unproven", "–"),
    }
}

/// Writes `compatibility.md` and `compatibility.html` about saved runs and runtimes to run now.
pub(crate) fn write(options: &PageOptions) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&options.out)?;
    let mut columns = Vec::new();
    for file in &options.results {
        let run = read(file).map_err(|error| format!("--results {}: {error}", file.display()))?;
        columns.push(Column::new(run));
    }
    let folder = tempfile::tempdir()?;
    for (number, runtime) in options.runtimes.iter().enumerate() {
        let output = folder.path().join(format!("{number}.json"));
        runner::run(&RunOptions {
            runtime: runtime.clone(),
            runtime_args: Vec::new(),
            systemd_cgroup: false,
            filters: Vec::new(),
            format: Format::Json,
            output: Some(output.clone()),
            any_words: true,
            must_run: false,
            jobs: options.jobs,
        })?;
        columns.push(Column::new(read(&output)?));
    }
    for (name, text) in [
        ("compatibility.md", markdown::page(&columns)),
        ("compatibility.html", html::page(&columns)?),
    ] {
        let path = options.out.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn read(file: &Path) -> Result<Run, Box<dyn Error>> {
    let run: Run = serde_json::from_slice(&fs::read(file)?)?;
    if run.version != VERSION {
        return Err(format!("form {} is not {VERSION}; run the suite again", run.version).into());
    }
    Ok(run)
}

/// What the page is about, in a sentence or two.
fn intro(columns: &[Column]) -> String {
    let mut hosts: Vec<&str> = columns.iter().map(|column| column.host.as_str()).collect();
    hosts.dedup();
    format!(
        "{} rows of the OCI runtime specification 1.3.0 for Linux, proven by running containers on {}. \
         A row is proven when all of its cases passed, broken when one failed, and open when one was \
         skipped because the host lacks something. \
         Refusals count in whatever words a runtime has; cases ask for more than their row here and there, above all \
         that nothing is left behind.",
        row::all().len(),
        hosts.join(" and "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns: everything passes, and one case fails with what markup must survive.
    pub(super) fn columns() -> [Column; 2] {
        ["good <1>", "bad & worse"].map(|name| {
            let cases = crate::case::all().into_iter().map(|case| CaseResult {
                name: case.name.into(),
                verdict: Verdict::Passed,
                reason: String::new(),
                found: String::new(),
                seconds: 0.1,
                journal: Vec::new(),
                configs: Vec::new(),
            });
            let mut column = Column::new(Run {
                version: VERSION,
                runtime: name.into(),
                host: "Linux 6.1 x86_64".into(),
                seconds: 1.0,
                cases: cases.collect(),
            });
            let broken = column.cases.get_mut("process/cwd").filter(|_| name.starts_with("bad"));
            if let Some(case) = broken {
                case.verdict = Verdict::Failed;
                case.reason = "got \"</script>\" ]]> | want &amp;".into();
                case.journal = vec!["$ runtime create".into()];
                case.configs = vec![serde_json::json!({ "process": { "cwd": "/x" } })];
            }
            column
        })
    }

    #[test]
    fn standings_come_from_the_cases() {
        let [good, bad] = columns();
        assert_eq!(good.count(Standing::Broken), 0);
        assert!(good.count(Standing::Proven) > 300);
        assert_eq!(bad.count(Standing::Broken), 1);
        let cwd = row::all().into_iter().find(|row| row.id == "process/cwd").unwrap();
        assert_eq!((good.standing(cwd), bad.standing(cwd)), (Standing::Proven, Standing::Broken));
    }
}
