//! The same verdict as the original: every file of a corpus of real configuration files,
//! read by us, and compared with the record of what xinetd 2.3.15 made of it.
//!
//! The corpus is not part of this package. `XINETD_CORPUS` names its directory; without it,
//! `../shared/corpus` beside the package is taken. If that does not exist the test is
//! ignored, and says so. It does not pass then, as nothing was compared; nor does it fail,
//! not even in CI, which otherwise leaves nothing out: who only has the package cannot help it.
//! That is why this target has a `main` of its own: `#[ignore]` cannot depend on a directory.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "the report of a test, in the form of libtest")]

mod compare;
mod dump;
mod machine;
mod record;
mod root;
mod rules;
mod tally;
mod trial;
mod words;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::machine::Servers;
use crate::root::Root;
use crate::tally::Tally;
use crate::trial::Trial;

const NAME: &str = "real_files_get_the_verdict_of_the_original";

/// The records, and the directories of their files.
const PARTS: [(&str, &str); 2] =
    [("original-verdicts.jsonl", "files"), ("probes/probe-verdicts.jsonl", "probes/files")];

/// What became of the test.
enum Outcome {
    Compared(Tally),
    Ignored(String),
    FilteredOut,
}

fn main() -> ExitCode {
    let start = Instant::now();
    let outcome = outcome();
    let runs = usize::from(!matches!(outcome, Outcome::FilteredOut));
    println!("\nrunning {runs} test{}", if runs == 1 { "" } else { "s" });
    let (good, [passed, failed, ignored, filtered]) = match outcome {
        Outcome::Compared(tally) => {
            let good = tally.is_good();
            println!("test {NAME} ... {}\n\n{tally}", if good { "ok" } else { "FAILED" });
            (good, if good { [1, 0, 0, 0] } else { [0, 1, 0, 0] })
        }
        Outcome::Ignored(why) => {
            println!("test {NAME} ... ignored, {why}");
            (true, [0, 0, 1, 0])
        }
        Outcome::FilteredOut => (true, [0, 0, 0, 1]),
    };
    println!(
        "\ntest result: {}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
         {filtered} filtered out; finished in {:.2}s\n",
        if good { "ok" } else { "FAILED" },
        start.elapsed().as_secs_f32()
    );
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn outcome() -> Outcome {
    let mut filters = env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    if filters.peek().is_some() && !filters.any(|filter| NAME.contains(&filter)) {
        return Outcome::FilteredOut;
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    match env::var_os("XINETD_CORPUS").map(PathBuf::from) {
        Some(named) => {
            assert!(named.is_dir(), "XINETD_CORPUS: {} is no directory", named.display());
            Outcome::Compared(compared(&named))
        }
        None if beside.exists() => Outcome::Compared(compared(&beside)),
        None => Outcome::Ignored(format!("there is no {}", beside.display())),
    }
}

fn compared(corpus: &Path) -> Tally {
    let mut tally = Tally::default();
    for (records, files) in PARTS {
        let (root, mut servers) = (Root::new(), Servers::default());
        for record in record::read(&corpus.join(records)) {
            let path = corpus.join(files).join(&record.file);
            tally.add(&Trial::new(&record, &path, &root, &mut servers));
        }
    }
    tally
}
