//! The compatibility page in a browser: its filter and its details.

use std::path::Path;
use std::process::Command;

const BROWSER: &str = "/usr/bin/chromium-headless-shell";

/// The document as it is after its scripts have run.
fn dump(page: &Path, fragment: &str) -> String {
    let output = Command::new(BROWSER)
        // Tests run as root, for which the browser has no sandbox.
        .args(["--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("file://{}#{fragment}", page.display()))
        .output()
        .expect("the browser starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_browser_filters_rows_and_a_click_shows_what_failed() {
    if !Path::new(BROWSER).exists() {
        eprintln!("skipped: needs {BROWSER} (scripts/install-packages test)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results.json");
    let run = serde_json::json!({
        "version": 1, "runtime": "some <runtime> 1.0", "host": "Linux", "seconds": 1.0,
        "cases": [{
            "name": "process/cwd", "verdict": "failed", "seconds": 0.1,
            "reason": "got </script>, want </tmp>", "journal": ["$ runtime create & more"],
            "configs": [{ "process": { "cwd": "/tmp" } }]
        }]
    });
    std::fs::write(&results, run.to_string()).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(["page".as_ref(), "--out".as_ref(), folder.path().as_os_str()])
        .args(["--results".as_ref(), results.as_os_str()])
        .status()
        .unwrap();
    assert!(status.success());
    let page = folder.path().join("compatibility.html");

    let all = dump(&page, "");
    let shown = |text: &str| {
        let count = text.split("aria-live=\"polite\">").nth(1).unwrap();
        let mut words = count.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        (words.next().unwrap().to_owned(), words.next().unwrap().to_owned())
    };
    let (every, total) = shown(&all);
    assert_eq!(every, total);
    assert_eq!(shown(&dump(&page, "process/cwd-absolute")).0, "1");
    assert_eq!(shown(&dump(&page, "no-such-row-anywhere")).0, "0");

    // A click, by a script behind the page's own.
    let text = std::fs::read_to_string(&page).unwrap();
    let click = "<script>document.querySelector('button.broken').click()</script></body>";
    std::fs::write(&page, text.replace("</body>", click)).unwrap();
    let details = dump(&page, "");
    let dialog = details.split("<dialog").nth(1).unwrap().split("</dialog>").next().unwrap();
    for wanted in [
        "open=\"\"",
        "process/cwd: some &lt;runtime&gt; 1.0",
        "on Linux",
        "got &lt;/script&gt;, want &lt;/tmp&gt;",
        "$ runtime create &amp; more",
        "\"cwd\": \"/tmp\"",
    ] {
        assert!(dialog.contains(wanted), "{wanted} is not in {dialog}");
    }
}
