//! Calls of functions: their arguments, and the engine and role that they are bound to.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, Signature, Volatility};

use crate::cipher::Direction;
use crate::columns::{self, Task};
use crate::policy::{Grant, RuleRef};
use crate::sql::external;
use crate::sql::revealed_values::RevealedValues;
use crate::transform::{Engine, Transform};
use crate::{Error, ErrorKind};

/// A function bound to an engine. Two are equal when engine and role are: never by what a key is.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) engine: Engine,
    pub(super) signature: Signature,
}

impl PartialEq for Binding {
    fn eq(&self, other: &Self) -> bool {
        self.engine.identity() == other.engine.identity()
    }
}

impl Eq for Binding {}

impl Hash for Binding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.engine.identity().hash(state);
    }
}

impl Binding {
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// For a function that asks a token store: what it gives is not what it gave, so it is called for its rows alone,
    /// never while a query is planned.
    pub(super) fn volatile(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            // DataFusion does not ask an asynchronous function which types it would like.
            signature: Signature::any(2, Volatility::Volatile),
        }
    }

    /// The transform that the rule argument names.
    ///
    /// # Errors
    /// A role that does not see the rule plain may reveal nothing by a function, masked or not: what it passes need not
    /// come from a table, and answers for any string it likes would be an oracle.
    pub(super) fn transform(&self, rule: &str, direction: Direction) -> Result<Arc<Transform>> {
        let rule: RuleRef = rule.parse().map_err(external)?;
        if direction == Direction::Decrypt {
            self.check_plain(&rule).map_err(external)?;
        }
        self.engine.resolved(&rule, direction).map_err(external)
    }

    fn check_plain(&self, rule: &RuleRef) -> crate::Result<()> {
        let grant = self.engine.grant(&rule.rule)?;
        if grant == Grant::Plain {
            return Ok(());
        }
        let role = self.engine.role().unwrap_or_default();
        let refusal = Error::new(
            ErrorKind::NotAllowed,
            format!(
                "role `{role}` may not reveal what is under rule `{}`: it sees it {grant}",
                rule.rule
            ),
        )
        .with_hint("columns of tables are shown as the role may see them, without a function");
        self.engine.audit_refusal(rule, Direction::Decrypt, &refusal)?;
        Err(refusal)
    }

    /// The field of a result of tokens.
    pub(super) fn token_field(&self, name: &str, direction: Direction, args: &ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let rule = literal(name, args.scalar_arguments.get(1).copied().flatten())?;
        let transform = self.transform(rule, direction)?;
        if transform.tokenizer().is_none() {
            let rule = &transform.rule().name;
            return Err(external(
                Error::bad_policy(format!("{name}: rule `{rule}` does not tokenize"))
                    .with_hint("use protect and reveal, or a rule with treatment = \"tokenize\""),
            ));
        }
        if args.arg_fields[0].data_type() == &DataType::Null {
            return Ok(Arc::new(Field::new(name, DataType::Utf8, true)));
        }
        self.return_field(name, direction, args)
    }

    /// Asks the token store for the tokens of values, or the values of tokens.
    pub(super) async fn tokens(
        &self,
        name: &str,
        direction: Direction,
        args: ScalarFunctionArgs,
    ) -> Result<ColumnarValue> {
        let rule = args.args[1].to_array(1)?;
        let transform = self.transform(literal(name, Some(&ScalarValue::try_from_array(&rule, 0)?))?, direction)?;
        let mut array = args.args[0].to_array(args.number_rows)?;
        if array.data_type() == &DataType::Null {
            array = new_null_array(&DataType::Utf8, array.len());
        }
        let task = Task::new(&transform, direction, args.arg_fields[0].name());
        let treated = columns::treat(task, &array, None).await.map_err(external)?;
        if direction == Direction::Decrypt {
            let values = array.len() - array.logical_null_count();
            RevealedValues::count(&args.config_options, &transform.rule().name, values);
        }
        Ok(ColumnarValue::Array(treated.array))
    }

    /// The field of the result: the type of the first argument, after checking that the rule can work on it.
    pub(super) fn return_field(
        &self,
        name: &str,
        direction: Direction,
        args: &ReturnFieldArgs<'_>,
    ) -> Result<FieldRef> {
        let transform = self.transform(
            literal(name, args.scalar_arguments.get(1).copied().flatten())?,
            direction,
        )?;
        let value = &args.arg_fields[0];
        if transform.tokenizer().is_some() && self.signature.volatility == Volatility::Immutable {
            let rule = &transform.rule().name;
            return Err(external(
                Error::bad_policy(format!("{name}: rule `{rule}` tokenizes"))
                    .with_hint("in SQL, use tokenize and detokenize for it"),
            ));
        }
        columns::check_type(&transform, value.name(), value.data_type()).map_err(external)?;
        Ok(Arc::new(Field::new(name, value.data_type().clone(), true)))
    }

    /// Runs the transform over the arguments: value, rule, and perhaps a tweak.
    pub(super) fn run(
        &self,
        name: &str,
        direction: Direction,
        tweak: TweakArgument,
        args: &ScalarFunctionArgs,
    ) -> Result<ColumnarValue> {
        let ColumnarValue::Scalar(rule) = &args.args[1] else {
            return exec_err!("{name}: the rule must be a literal");
        };
        let transform = self.transform(literal(name, Some(rule))?, direction)?;
        let given = args.args.get(2);
        let transform = match (given, tweak) {
            (Some(_), TweakArgument::Replaces) => Arc::new(transform.with_tweak_argument().map_err(external)?),
            (Some(_), TweakArgument::IsTheColumn) if transform.tweak_column().is_none() => {
                return exec_err!("{name}: rule `{}` takes no tweak from a column", transform.rule().name);
            }
            _ => transform,
        };
        let scalar =
            matches!(&args.args[0], ColumnarValue::Scalar(_)) && matches!(given, None | Some(ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let array = args.args[0].to_array(rows)?;
        let tweaks: Option<ArrayRef> = given.map(|tweak| tweak.to_array(rows)).transpose()?;
        // A literal has no name of its own.
        let column = if scalar { name } else { args.arg_fields[0].name() };
        let task = Task::new(&transform, direction, column);
        let done = columns::apply(task, &array, tweaks.as_ref()).map_err(external)?;
        if direction == Direction::Decrypt {
            let rule = literal(name, Some(rule))?;
            RevealedValues::count(&args.config_options, rule, array.len() - array.logical_null_count());
        }
        debug_assert_eq!(done.array.len(), rows);
        if scalar {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&done.array, 0)?))
        } else {
            Ok(ColumnarValue::Array(done.array))
        }
    }
}

/// The meaning of a third argument.
#[derive(Clone, Copy, Debug)]
pub(super) enum TweakArgument {
    /// The tweak column of a rule that has one.
    IsTheColumn,
    /// The tweak, whatever the rule says.
    Replaces,
}

/// The types of the arguments: the value's own, text for the rule, text or integers for a tweak.
pub(super) fn coerce(name: &str, types: &[DataType], most: usize) -> Result<Vec<DataType>> {
    if types.len() < 2 || types.len() > most {
        return plan_err!(
            "{name} takes a value and a rule{}",
            if most > 2 { ", and perhaps a tweak" } else { "" }
        );
    }
    let text = |data_type: &DataType| match data_type {
        DataType::Null => DataType::Utf8,
        other => other.clone(),
    };
    if !matches!(types[1], DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return plan_err!("{name}: the rule is a name in quotes, such as 'card'");
    }
    let mut coerced = vec![text(&types[0]), DataType::Utf8];
    coerced.extend(types.get(2).map(text));
    Ok(coerced)
}

/// The text of a literal argument.
pub(super) fn literal<'a>(name: &str, argument: Option<&'a ScalarValue>) -> Result<&'a str> {
    match argument.and_then(|value| value.try_as_str()) {
        Some(Some(rule)) => Ok(rule),
        _ => plan_err!("{name}: the rule must be a literal, such as 'card'"),
    }
}
