//! `cipherform query`

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use datafusion::sql::parser::Statement;

use crate::cli::args::KeyArgs;
use crate::cli::printer::Printer;
use crate::cli::results::{ResultFormat, Results};
use crate::cli::{job, session};
use crate::files::OutputFile;
use crate::sql::{self, Answer, Limits, Session};
use crate::{Engine, Error, ErrorKind, Hint, Result, files};

const HELP: &str = "\
Statements end with a semicolon. SHOW TABLES; and DESCRIBE table; tell what there is.
\\? shows this, \\q ends.";

/// Ask SQL of Parquet files, protected or not.
#[derive(Args, Debug)]
#[command(after_help = "\
Each file is a table named by its stem; SQL wants a name with capitals in double quotes. A protected file opens \
    revealed, with
the key version its footer names.

Examples:
  cipherform query -c 'SELECT count(*) FROM people' people.parquet
  cipherform query people.parquet                                  a prompt
  cipherform query --stored -c 'SELECT * FROM safe LIMIT 5' safe.parquet
  cipherform query -c 'SELECT * FROM safe' --format csv safe.parquet > plain.csv
  cipherform query -c 'SELECT * FROM safe' -o plain.parquet safe.parquet        written as its name says")]
pub(in crate::cli) struct QueryArgs {
    /// The Parquet files, each a table named by its stem; NAME=FILE gives it another name
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) files: Vec<TableFile>,
    /// The query; without it, statements are read from a prompt or from stdin
    #[arg(short = 'c', long, value_name = "SQL")]
    pub(in crate::cli) command: Option<String>,
    /// How results are written: as the ending of --output says, or else as a table
    #[arg(long, value_enum)]
    format: Option<ResultFormat>,
    /// Write the results to this file instead of stdout
    #[arg(short, long, value_name = "FILE", requires = "command")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Replace that file if it is there
    #[arg(long, requires = "output")]
    pub(in crate::cli) force: bool,
    /// Look at protected columns as they are stored; needs no policy and no key
    #[arg(long)]
    pub(in crate::cli) stored: bool,
    /// See what this role of the policy may see
    #[arg(long, value_name = "NAME", conflicts_with = "stored")]
    pub(in crate::cli) role: Option<String>,
    /// The most memory for sorts, groups and joins, such as 512MB or 4GB [default: 4GB with a role, else no limit]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    memory_limit: Option<u64>,
    /// Let sorts and groups that need more memory go to sealed files of this size; joins do not [default: no files]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    disk_limit: Option<u64>,
    /// The longest time of a statement, such as 30s or 5m [default: 10m with a role, else no limit]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// The most rows of an answer [default: 1000000 with a role, else no limit]
    #[arg(long, value_name = "N")]
    row_limit: Option<u64>,
}

/// A number of bytes, with a unit or without.
fn bytes(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        "T" | "TB" => 1 << 40,
        _ => return Err("write a number and B, KB, MB, GB or TB".to_owned()),
    };
    let number = digits.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|size| *size > 0)
        .ok_or_else(|| "write a number and B, KB, MB, GB or TB".to_owned())
}

impl QueryArgs {
    /// The limits given, and those of a role where there is one and none were given.
    fn limits(&self, engine: Option<&Engine>) -> Limits {
        let usual = match engine.and_then(Engine::role) {
            Some(_) => Limits::FOR_ROLES,
            None => Limits::default(),
        };
        let memory = self.memory_limit.and_then(|bytes| usize::try_from(bytes).ok());
        Limits {
            memory: memory.or(usual.memory),
            disk: self.disk_limit.or(usual.disk),
            time: self.timeout.or(usual.time),
            rows: self.row_limit.or(usual.rows),
        }
    }

    pub(in crate::cli) fn format(&self) -> ResultFormat {
        // The ending of the file only chooses a form that was not chosen.
        let ending = || self.output.as_ref()?.extension()?.to_str();
        self.format
            .or_else(|| ResultFormat::from_str(ending()?, true).ok())
            .unwrap_or(ResultFormat::Table)
    }
}

/// A file and the table it is.
#[derive(Clone, Debug)]
pub(in crate::cli) struct TableFile {
    pub(in crate::cli) name: String,
    pub(in crate::cli) path: PathBuf,
}

impl FromStr for TableFile {
    type Err = Infallible;

    // A file whose own name has an equals sign still opens: the existing file goes first.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !Path::new(text).exists() => Self {
                name: name.to_owned(),
                path: path.into(),
            },
            _ => Self {
                name: files::table_name(Path::new(text)),
                path: text.into(),
            },
        })
    }
}

pub(in crate::cli) async fn run(args: QueryArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    // As stored, no policy and no key are touched: whoever has no rights can look at ciphertext.
    let engine = if args.stored { None } else { engine(&args, keys).await? };
    let limits = args.limits(engine.as_ref());
    let session = match &engine {
        Some(engine) => Session::with_limits(engine, limits).await?,
        None => Session::stored(limits)?,
    };
    for file in &args.files {
        session.register_file(&file.name, &file.path).await?;
    }
    let tables = args.files.iter().map(|file| file.name.clone()).collect();
    let shell = Shell {
        session,
        tables,
        warned: Mutex::default(),
    };
    let format = args.format();
    if let Some(statement) = &args.command {
        return answer(
            &shell,
            statement,
            format,
            args.output.as_deref().map(|path| (path, args.force)),
            printer,
        )
        .await;
    }
    // A pipe is a script: it ends at the first error, where a person goes on.
    if std::io::stdin().is_terminal() {
        prompt(&shell, format, printer).await
    } else {
        script(&shell, format, printer).await
    }
}

/// The session that statements run in, and what was said of it.
struct Shell {
    session: Session,
    tables: Vec<String>,
    /// The warnings that were given: once is enough.
    warned: Mutex<BTreeSet<String>>,
}

/// The engine, unless nothing here needs one: no file is protected, and there is no policy.
// Footers are enough to tell, so plain files can be queried without a policy.
async fn engine(args: &QueryArgs, keys: &KeyArgs) -> Result<Option<Engine>> {
    let mut protected = false;
    for file in &args.files {
        protected |= sql::is_protected(&file.path)?;
    }
    // A role always needs the policy, even if nothing is protected: it may have no right to look.
    if !protected && args.role.is_none() && !keys.policy.exists() {
        return Ok(None);
    }
    // The error is about a policy that the person may not need.
    let engine = session::engine(keys).await.map_err(|error| match error.hint() {
        Some(hint) if !keys.policy.exists() => {
            let hint = Hint::from(hint).then("; or pass --stored to see the file as it is stored");
            error.with_hint(hint)
        }
        _ => error,
    })?;
    Ok(Some(match &args.role {
        Some(role) => engine.with_role(role)?,
        None => engine,
    }))
}

/// Runs statements and writes their results: to stdout, or whole or not at all to a file that only its owner can read.
async fn answer(
    shell: &Shell,
    text: &str,
    format: ResultFormat,
    output: Option<(&Path, bool)>,
    printer: &Printer,
) -> Result<()> {
    // All are parsed before the first runs, so a typing error at the end does nothing.
    let statements = sql::statements(text)?;
    if (output.is_some() || format == ResultFormat::Parquet) && statements.len() != 1 {
        return Err(Error::bad_input(format!(
            "one file holds the result of one statement, and there are {}",
            statements.len()
        )));
    }
    for statement in statements {
        let done = one(shell, statement, format, output, printer).await;
        // Not the statement itself, which may hold values.
        let tables = shell.tables.join(", ");
        let ended = if done.is_ok() { "" } else { ", which failed" };
        // After each statement, also a failed one: values may have been revealed before it failed.
        if let Some(engine) = shell.session.engine() {
            engine.audit_usage(&format!("query {tables}{ended}"))?;
            warn(engine, shell, printer);
        }
        done?;
    }
    Ok(())
}

/// Warns of what is due with the keys that were used, and with tokens: once.
fn warn(engine: &Engine, shell: &Shell, printer: &Printer) {
    // Kept across statements of a prompt; a poisoned lock still has a whole set.
    let mut warned = shell.warned.lock().unwrap_or_else(PoisonError::into_inner);
    for warning in engine.due().into_iter().chain(engine.filling_up()) {
        if !warned.contains(&warning) {
            printer.say(format_args!("warning: {warning}"));
            warned.insert(warning);
        }
    }
}

async fn one(
    shell: &Shell,
    statement: Statement,
    format: ResultFormat,
    output: Option<(&Path, bool)>,
    printer: &Printer,
) -> Result<()> {
    let answer = shell.session.run_statement(statement).await?;
    let Some((path, force)) = output else {
        return stream(answer, format, printer.stdout()).await;
    };
    // Written aside and renamed at the end: a failed query leaves the former file.
    let aside = OutputFile::create(path, force)?;
    // Dropping the stream ends the query, and dropping `aside` takes its file away.
    tokio::select! {
        done = stream(answer, format, aside.file()) => done?,
        interrupted = interrupted() => return Err(interrupted),
    }
    aside.commit(None)
}

/// Ends when the process is asked to: the file written aside goes with what this is raced against.
async fn interrupted() -> Error {
    let cancel = Arc::new(AtomicBool::new(false));
    if let Err(error) = job::cancel_on_signal(&cancel) {
        return error;
    }
    // Signals only set a flag, which handlers may do safely; it is looked at twenty times a second.
    while !cancel.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Error::new(ErrorKind::Interrupted, "interrupted; nothing was written")
}

async fn stream(mut answer: Answer, format: ResultFormat, out: impl Write + Send) -> Result<()> {
    let mut results = Results::begin(answer.schema(), format, out)?;
    while let Some(batch) = answer.next().await {
        results.write(batch?)?;
    }
    results.finish()
}

/// Statements from a terminal, until the person leaves.
async fn prompt(shell: &Shell, format: ResultFormat, printer: &Printer) -> Result<()> {
    let broken = |error: rustyline::error::ReadlineError| Error::bug("the prompt failed").with_source(error);
    let mut editor = rustyline::DefaultEditor::new().map_err(broken)?;
    printer.say(HELP);
    let mut statement = String::new();
    loop {
        let line = match editor.readline(if statement.is_empty() {
            "cipherform> "
        } else {
            "       ...> "
        }) {
            Ok(line) => line,
            // Ctrl-C clears the statement, as in other shells; Ctrl-D ends.
            Err(rustyline::error::ReadlineError::Interrupted) => {
                statement.clear();
                continue;
            }
            Err(rustyline::error::ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(broken(error)),
        };
        match line.trim() {
            "\\q" | "quit" | "exit" => return Ok(()),
            "\\?" | "help" => {
                printer.say(HELP);
                continue;
            }
            _ => {}
        }
        statement.push_str(&line);
        statement.push('\n');
        // A statement may span lines; it ends at a semicolon.
        if !line.trim_end().ends_with(';') {
            if statement.trim().is_empty() {
                statement.clear();
            }
            continue;
        }
        // The history stays in memory: statements may hold values.
        let _ = editor.add_history_entry(statement.trim());
        // Only said: the session and its tables are still there.
        if let Err(error) = answer(shell, &statement, format, None, printer).await {
            printer.error(&error);
        }
        statement.clear();
    }
}

/// Statements from a pipe, up to the first that fails.
async fn script(shell: &Shell, format: ResultFormat, printer: &Printer) -> Result<()> {
    let mut text = String::new();
    // All of it first: statements are split by the parser, not by lines.
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| Error::io("cannot read statements from stdin", error))?;
    answer(shell, &text, format, None, printer).await
}
