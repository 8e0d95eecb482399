//! Our errors through DataFusion and back, and its errors without values.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use crate::{Error, ErrorKind};

/// Our error, on its way through DataFusion.
pub(super) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// An error of DataFusion as ours: one of our own that passed through it comes back as it was.
///
/// What fails while rows are worked on (a cast, a sum) names the value it failed on, and that may be one that was just
/// revealed. So quoted text and numbers are taken out of such messages.
pub fn from_datafusion(error: DataFusionError) -> Error {
    if let Some(ours) = ours(&error) {
        return ours;
    }
    let message = match error.find_root() {
        root @ (DataFusionError::ArrowError(..) | DataFusionError::Execution(_)) => {
            withhold_values(&root.strip_backtrace())
        }
        _ => error.strip_backtrace(),
    };
    Error::new(ErrorKind::BadInput, message)
}

/// As [`from_datafusion`], for an error of running a query, not of planning it. Whatever an expression says of the
/// value it failed on is left out whole: that value may have been revealed just then.
pub fn from_execution(error: DataFusionError) -> Error {
    if let Some(ours) = ours(&error) {
        return ours;
    }
    let what = match error.find_root() {
        DataFusionError::Internal(what) if what.contains("async functions should not be called directly") => {
            return Error::bad_input(
                "tokenize or detokenize stands where DataFusion runs no asynchronous function: in an aggregate, \
                 GROUP BY, a window, VALUES, \
                 the condition of a join, or another one's arguments",
            )
            .with_hint(
                "let a query within make its column: SELECT count(DISTINCT t) FROM (SELECT tokenize(v, \
                'rule') AS t FROM …); one within the other takes two statements",
            );
        }
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::CastError(_) => "a value cannot be cast",
            ArrowError::ParseError(_) => "a text cannot be parsed",
            ArrowError::DivideByZero => "a division by zero",
            ArrowError::ArithmeticOverflow(_) => "a number is out of range",
            ArrowError::ParquetError(_) => "a file is damaged",
            _ => "an expression failed on a value",
        },
        DataFusionError::ResourcesExhausted(_) => "there is not enough memory for it",
        DataFusionError::ParquetError(_) => "a file is damaged",
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => "a file cannot be read",
        DataFusionError::NotImplemented(_) => "something in it is not implemented",
        _ => "an expression failed on a value",
    };
    Error::new(ErrorKind::BadInput, format!("the query failed while it ran: {what}"))
        .with_hint("details are left out: they may hold the value")
}

fn ours(error: &DataFusionError) -> Option<Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return Some(ours.again());
        }
        cause = error.source();
    }
    None
}

/// `message` with `…` for everything in quotes and every number. An opening quote without its match withholds the rest.
fn withhold_values(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut rest = message.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' | '`' => {
                shown.extend([c, '…', c]);
                // To the last such quote: the value may hold some itself.
                let inside: String = rest.by_ref().collect();
                if let Some(end) = inside.rfind(c) {
                    shown.push_str(&withhold_values(&inside[end + c.len_utf8()..]));
                }
                return shown;
            }
            // A number, but not that of a type: Int32.
            c if c.is_numeric() && !shown.ends_with(char::is_alphanumeric) => {
                shown.push('…');
                while rest.next_if(|c| c.is_numeric() || ".,-:eE".contains(*c)).is_some() {}
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_withheld() {
        for (message, shown) in [
            (
                "Cannot cast string '123-45-6789' to value of type",
                "Cannot cast string '…' to value of type",
            ),
            ("Cannot cast string 'O'Neil 7' here", "Cannot cast string '…' here"),
            ("unbalanced 'secret", "unbalanced '…'"),
            ("Can't cast to Int32", "Can'…'"),
            ("cast 7 to Int32", "cast … to Int32"),
            ("Overflow happened on: 9007 + -1.5e3", "Overflow happened on: … + -…"),
            ("Cast error: Can't do \"a\"", "Cast error: Can'…'"),
        ] {
            assert_eq!(withhold_values(message), shown);
        }
    }
}
