//! The command line of the suite. Owns parsing only; what it means is the runner's.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

/// The help text.
pub(crate) const USAGE: &str = "\
usage: conformance [run] --runtime PATH [options]
       conformance list [--filter SUBSTR]...
       conformance rows [--filter SUBSTR]...
       conformance page --out DIR [--results FILE]... [--runtime PATH]...

  --runtime PATH      the runtime to judge
  --runtime-arg A     a global argument for every call of it (may be repeated)
  --systemd-cgroup    have systemd make the cgroups: the flag for every call, and
                      cgroupsPath as SLICE:PREFIX:NAME
  --filter SUBSTR     only cases whose name contains it (may be repeated: any matches)
  --skip SUBSTR       no case whose name contains it (may be repeated)
  --skipped-in FILE   only cases that the saved run (--format json) in FILE had to skip
  --format FORMAT     text (default), tap, junit, json or html
  --output FILE       write the report there instead of standard output
  --any-words         a refusal counts in whatever words and with whatever exit status: what
                      the specification demands, without what the managers of runc match
  --must-run          a skipped case counts as failed
  --jobs N            cases at the same time (default 1)
  --out DIR           where `page` writes compatibility.md and compatibility.html
  --results FILE      a saved run (--format json) for `page`; several of one runtime, on
                      hosts that differ, are one column; --runtime runs one now

Exit status: 0 when nothing failed, 1 when a case failed, 2 when the suite could not run.";

const VERBS: [&str; 4] = ["run", "list", "rows", "page"];

/// The form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One line for each case, for people.
    Text,
    /// Test Anything Protocol, version 14.
    Tap,
    /// The XML that continuous integration servers read.
    Junit,
    /// One object with everything, also for `page`.
    Json,
    /// The compatibility page, with this runtime alone.
    Html,
}

/// What `run` was asked to do.
#[derive(Debug)]
pub(crate) struct RunOptions {
    /// The runtime under test.
    pub(crate) runtime: PathBuf,
    /// Global arguments for every call of it.
    pub(crate) runtime_args: Vec<String>,
    /// systemd makes the cgroups.
    pub(crate) systemd_cgroup: bool,
    /// Substrings of case names; empty means all.
    pub(crate) filters: Vec<String>,
    /// Substrings of the names of cases that are left out.
    pub(crate) skips: Vec<String>,
    /// A saved run: cases that were not skipped in it are left out.
    pub(crate) skipped_in: Option<PathBuf>,
    /// The form of the report.
    pub(crate) format: Format,
    /// Where the report goes; standard output when absent.
    pub(crate) output: Option<PathBuf>,
    /// A refusal counts, whatever it says.
    pub(crate) any_words: bool,
    /// A skip counts as a failure.
    pub(crate) must_run: bool,
    /// Cases at the same time.
    pub(crate) jobs: usize,
}

/// What `page` was asked to do.
#[derive(Debug)]
pub(crate) struct PageOptions {
    /// The folder of the page.
    pub(crate) out: PathBuf,
    /// Saved runs, in the order of the columns; those of one runtime are one column.
    pub(crate) results: Vec<PathBuf>,
    /// Runtimes to run now, columns behind those.
    pub(crate) runtimes: Vec<PathBuf>,
    /// Cases at the same time.
    pub(crate) jobs: usize,
}

/// What this process was started for.
#[derive(Debug)]
pub(crate) enum Request {
    /// Print the usage.
    Help,
    /// Print the cases.
    List {
        /// As for `run`.
        filters: Vec<String>,
    },
    /// Print the rows of the specification with the cases that prove them.
    Rows {
        /// Substrings of row ids; empty means all.
        filters: Vec<String>,
    },
    /// Write the compatibility page.
    Page(PageOptions),
    /// Run cases and report.
    Run(RunOptions),
    /// Run the one case that `job.json` in this folder describes (only the runner asks for it).
    Worker {
        /// The folder of the case.
        folder: PathBuf,
    },
}

/// Reads the command line, without the program's own name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut verb = None;
    let mut runtimes = Vec::new();
    let (mut out, mut results) = (None, Vec::new());
    let mut options = RunOptions {
        runtime: PathBuf::new(),
        runtime_args: Vec::new(),
        systemd_cgroup: false,
        filters: Vec::new(),
        skips: Vec::new(),
        skipped_in: None,
        format: Format::Text,
        output: None,
        any_words: false,
        must_run: false,
        jobs: 1,
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        match argument {
            Short('h') | Long("help") => return Ok(Request::Help),
            Long("worker") => {
                return Ok(Request::Worker { folder: value(&mut parser)?.into() });
            }
            Long("runtime") => runtimes.push(PathBuf::from(value(&mut parser)?)),
            Long("out") => out = Some(PathBuf::from(value(&mut parser)?)),
            Long("results") => results.push(PathBuf::from(value(&mut parser)?)),
            Long("runtime-arg") => options.runtime_args.push(text(&mut parser)?),
            Long("filter") => options.filters.push(text(&mut parser)?),
            Long("skip") => options.skips.push(text(&mut parser)?),
            Long("skipped-in") => options.skipped_in = Some(value(&mut parser)?.into()),
            Long("output") => options.output = Some(value(&mut parser)?.into()),
            Long("any-words") => options.any_words = true,
            Long("must-run") => options.must_run = true,
            Long("systemd-cgroup") => options.systemd_cgroup = true,
            Long("format") => {
                options.format = match text(&mut parser)?.as_str() {
                    "text" => Format::Text,
                    "tap" => Format::Tap,
                    "junit" => Format::Junit,
                    "json" => Format::Json,
                    "html" => Format::Html,
                    other => {
                        return Err(format!(
                            "--format: {other} is none of text, tap, junit, json, html"
                        ));
                    }
                }
            }
            Long("jobs") => {
                options.jobs = text(&mut parser)?
                    .parse()
                    .ok()
                    .filter(|jobs| *jobs > 0)
                    .ok_or("--jobs: not a positive number")?;
            }
            Value(word) if verb.is_none() && VERBS.iter().any(|verb| word == *verb) => {
                verb = Some(word);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    match verb {
        Some(verb) if verb == "list" => return Ok(Request::List { filters: options.filters }),
        Some(verb) if verb == "rows" => return Ok(Request::Rows { filters: options.filters }),
        Some(verb) if verb == "page" => {
            if results.is_empty() && runtimes.is_empty() {
                return Err("page needs --results FILE or --runtime PATH".into());
            }
            let out = out.ok_or("--out DIR is missing")?;
            return Ok(Request::Page(PageOptions { out, results, runtimes, jobs: options.jobs }));
        }
        _ => {}
    }
    // The last one counts, as for the other flags.
    options.runtime = runtimes.pop().ok_or("--runtime PATH is missing")?;
    Ok(Request::Run(options))
}

fn value(parser: &mut lexopt::Parser) -> Result<OsString, String> {
    parser.value().map_err(|e| e.to_string())
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    value(parser)?.into_string().map_err(|raw| format!("{} is not UTF-8", raw.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Request, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn run_is_the_default_verb_and_needs_a_runtime() {
        assert!(matches!(of(&["--runtime", "/x"]), Ok(Request::Run(_))));
        assert!(matches!(of(&["run", "--runtime=/x"]), Ok(Request::Run(_))));
        assert!(of(&["run"]).unwrap_err().contains("--runtime"));
    }

    #[test]
    fn bad_words_are_named() {
        let error = of(&["--runtime", "/x", "--format", "yaml"]).unwrap_err();
        assert!(error.contains("yaml"), "{error}");
        assert!(of(&["--runtime", "/x", "--jobs", "0"]).is_err());
        assert!(of(&["list", "more"]).is_err());
        assert!(matches!(of(&["rows", "--filter", "x"]), Ok(Request::Rows { .. })));
    }

    #[test]
    fn cases_are_chosen_by_what_is_wanted_and_what_is_not() {
        let words = ["--runtime", "/x", "--filter", "a/", "--skip", "a/b", "--skip", "c"];
        let Ok(Request::Run(options)) = of(&words) else { panic!("no run") };
        assert_eq!(
            (options.filters.join(" "), options.skips.join(" ")),
            ("a/".into(), "a/b c".into())
        );
        assert!(of(&["--runtime", "/x", "--skip"]).is_err());
    }

    #[test]
    fn page_takes_saved_runs_and_runtimes_and_needs_one_and_a_folder() {
        let words = ["page", "--out", "d", "--results", "a", "--results", "b", "--runtime", "/x"];
        let Ok(Request::Page(options)) = of(&words) else { panic!("no page") };
        assert_eq!((options.results.len(), options.runtimes.len()), (2, 1));
        assert!(of(&["page", "--out", "d"]).unwrap_err().contains("--results"));
        assert!(of(&["page", "--results", "a"]).unwrap_err().contains("--out"));
    }
}
