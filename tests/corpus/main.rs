//! The same verdict as the original: every file of a corpus of real configuration files,
//! read by us, and compared with the record of what xinetd 2.3.15 made of it.
//!
//! The corpus is not part of this package. `XINETD_CORPUS` names its directory; without it,
//! `../shared/corpus` beside the package is taken. If that does not exist the tests are
//! ignored, and say so. They do not pass then, as nothing was compared; nor do they fail,
//! not even in CI, which otherwise leaves nothing out: who only has the package cannot help it.
//! That is why this target has a `main` of its own: `#[ignore]` cannot depend on a directory.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "the report of a test, in the form of libtest")]

mod access;
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

use crate::access::Matrix;
use crate::machine::Servers;
use crate::root::Root;
use crate::tally::Tally;
use crate::trial::Trial;

/// The records, and the directories of their files.
const PARTS: [(&str, &str); 2] =
    [("original-verdicts.jsonl", "files"), ("probes/probe-verdicts.jsonl", "probes/files")];

/// Whether all is well, and what there is to say.
type Report = (bool, String);

/// The name of a test, and the test, which is given the directory of the corpus.
type Test = (&'static str, fn(&Path) -> Report);

const TESTS: [Test; 2] = [
    ("real_files_get_the_verdict_of_the_original", verdicts),
    ("clients_are_let_in_as_by_the_original", access),
];

fn main() -> ExitCode {
    let start = Instant::now();
    let filters: Vec<_> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|word| name.contains(word));
    let tests: Vec<_> = TESTS.into_iter().filter(|(name, _)| wanted(name)).collect();
    let filtered = TESTS.len() - tests.len();
    let corpus = corpus();
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    println!("\nrunning {} test{}", tests.len(), if tests.len() == 1 { "" } else { "s" });
    for (name, test) in tests {
        match corpus.as_deref().map(test) {
            Ok((good, report)) => {
                *(if good { &mut passed } else { &mut failed }) += 1;
                println!("test {name} ... {}\n\n{report}", word(good));
            }
            Err(why) => {
                ignored += 1;
                println!("test {name} ... ignored, {why}");
            }
        }
    }
    println!(
        "\ntest result: {}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
         {filtered} filtered out; finished in {:.2}s\n",
        word(failed == 0),
        start.elapsed().as_secs_f32()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn word(good: bool) -> &'static str {
    if good { "ok" } else { "FAILED" }
}

/// The directory of the corpus, or why there is none.
fn corpus() -> Result<PathBuf, String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    match env::var_os("XINETD_CORPUS").map(PathBuf::from) {
        Some(named) => {
            assert!(named.is_dir(), "XINETD_CORPUS: {} is no directory", named.display());
            Ok(named)
        }
        None if beside.is_dir() => Ok(beside),
        None => Err(format!("there is no {}", beside.display())),
    }
}

fn verdicts(corpus: &Path) -> Report {
    let mut tally = Tally::default();
    for (records, files) in PARTS {
        let (root, mut servers) = (Root::new(), Servers::default());
        for record in record::read(&corpus.join(records)) {
            let path = corpus.join(files).join(&record.file);
            tally.add(&Trial::new(&record, &path, &root, &mut servers));
        }
    }
    (tally.is_good(), tally.to_string())
}

fn access(corpus: &Path) -> Report {
    let matrix = Matrix::compare(corpus);
    (matrix.is_good(), matrix.to_string())
}
