//! The compatibility page: rows of the specification against runtimes, as Markdown and as one HTML
//! file that needs no network. Owns what is on it; the results come from saved runs.

mod html;
mod markdown;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use crate::args::{Format, PageOptions, RunOptions};
use crate::report::{self, CaseResult, Run, Verdict};
use crate::row::{self, Row, Standing};
use crate::runner;

/// One column: a runtime, on one host or on several.
#[derive(Debug)]
struct Column {
    /// What its `--version` says.
    name: String,
    hosts: Vec<String>,
    cases: BTreeMap<String, Found>,
}

/// How a case ended on the host that says most about it.
#[derive(Debug)]
struct Found {
    /// Which of the column's hosts.
    host: usize,
    case: CaseResult,
}

impl Column {
    fn new(run: Run) -> Self {
        let mut column =
            Self { name: run.runtime.clone(), hosts: Vec::new(), cases: BTreeMap::new() };
        column.add(run);
        column
    }

    /// Takes in a run on another host: a case that was skipped before is what it is there, and one failure is not made
    /// good by a pass elsewhere.
    fn add(&mut self, run: Run) {
        let host = self.hosts.len();
        self.hosts.push(run.host);
        for case in run.cases {
            let known = self.cases.get(&case.name).map(|found| weight(found.case.verdict));
            if known.is_none_or(|known| known < weight(case.verdict)) {
                self.cases.insert(case.name.clone(), Found { host, case });
            }
        }
    }

    fn standing(&self, row: &Row) -> Standing {
        row::standing(row, &self.verdicts())
    }

    fn verdicts(&self) -> BTreeMap<&str, Verdict> {
        self.cases.iter().map(|(name, found)| (name.as_str(), found.case.verdict)).collect()
    }

    fn count(&self, wanted: Standing) -> usize {
        let verdicts = self.verdicts();
        row::all().iter().filter(|row| row::standing(row, &verdicts) == wanted).count()
    }
}

/// How much a verdict says.
const fn weight(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Skipped => 0,
        Verdict::Passed => 1,
        Verdict::Failed | Verdict::Known => 2,
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
    let mut columns: Vec<Column> = Vec::new();
    for file in &options.results {
        let run =
            report::read(file).map_err(|error| format!("--results {}: {error}", file.display()))?;
        match columns.iter_mut().find(|column| column.name == run.runtime) {
            Some(column) => column.add(run),
            None => columns.push(Column::new(run)),
        }
    }
    let folder = tempfile::tempdir()?;
    for (number, runtime) in options.runtimes.iter().enumerate() {
        let output = folder.path().join(format!("{number}.json"));
        runner::run(&RunOptions {
            runtime: runtime.clone(),
            runtime_args: Vec::new(),
            systemd_cgroup: false,
            filters: Vec::new(),
            skips: Vec::new(),
            skipped_in: None,
            format: Format::Json,
            output: Some(output.clone()),
            any_words: true,
            must_run: false,
            jobs: options.jobs,
        })?;
        columns.push(Column::new(report::read(&output)?));
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

/// The page about one run, as HTML.
pub(crate) fn of(run: Run) -> serde_json::Result<String> {
    html::page(&[Column::new(run)])
}

/// What the page is about, in a sentence or two.
fn intro(columns: &[Column]) -> String {
    let mut hosts: Vec<&str> = Vec::new();
    for host in columns.iter().flat_map(|column| &column.hosts) {
        if !hosts.contains(&host.as_str()) {
            hosts.push(host);
        }
    }
    format!(
        "{} rows of the OCI runtime specification 1.3.0 for Linux, proven by running containers. \
         A row is proven when all of its cases passed, broken when one failed, and open when one was \
         skipped because no host has what it needs. Hosts: {}. \
         Refusals count in whatever words a runtime has; cases ask for more than their row here and there, above all \
         that nothing is left behind.",
        row::all().len(),
        hosts.join("; "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::VERSION;

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
            if let Some(Found { case, .. }) = broken {
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

    #[test]
    fn a_skipped_case_is_what_it_is_on_another_host_and_a_failure_stays() {
        let run = |host: &str, verdicts: &[(&str, Verdict)]| Run {
            version: VERSION,
            runtime: "one".into(),
            host: host.into(),
            seconds: 1.0,
            cases: verdicts
                .iter()
                .map(|(name, verdict)| CaseResult {
                    name: (*name).into(),
                    verdict: *verdict,
                    reason: String::new(),
                    found: String::new(),
                    seconds: 0.1,
                    journal: Vec::new(),
                    configs: Vec::new(),
                })
                .collect(),
        };
        use Verdict::{Failed, Passed, Skipped};
        let mut column = Column::new(run(
            "here",
            &[("a", Skipped), ("b", Failed), ("c", Passed), ("d", Passed)],
        ));
        column.add(run("there", &[("a", Passed), ("b", Passed), ("c", Skipped), ("d", Failed)]));
        let found: Vec<_> =
            column.cases.values().map(|found| (found.case.verdict, found.host)).collect();
        assert_eq!(found, [(Passed, 1), (Failed, 0), (Passed, 0), (Failed, 1)]);
        assert!(intro(&[column]).contains("Hosts: here; there. "));
    }
}
