//! `iotbiz eval`: one formula of the library the business case is made of.

use std::fmt::Write as _;

use bizcase::{Function, functions};
use clap::Args;
use serde_json::json;

use crate::cli::Format;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// The formula; without one the functions are listed.
    #[arg(allow_hyphen_values = true)]
    expression: Option<String>,
    /// Everything about one function.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
}

pub(crate) fn run(args: &EvalArgs, format: Format) -> anyhow::Result<()> {
    match (&args.expression, &args.function) {
        (Some(expression), _) => eval(expression, format),
        (None, Some(name)) => describe(name, format),
        (None, None) => list(format),
    }
}

fn eval(expression: &str, format: Format) -> anyhow::Result<()> {
    let found = match bizcase::eval(expression) {
        Ok(found) => found,
        Err(error) => return refuse(&error, expression, format),
    };
    if format == Format::Json {
        return output::json(&found.json());
    }
    output::line(&found.value.text())?;
    for warning in &found.warnings {
        output::talk(&format!("warning: {warning}"));
    }
    if let (Some(formula), Some(source)) = (found.formula, found.source) {
        output::talk(&format!("{formula}  ({source})"));
    }
    Ok(())
}

/// What is wrong and where, also for programs.
fn refuse(error: &bizcase::Error, expression: &str, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let at = error.span();
        output::json(&json!({
            "error": error.to_string(), "from": at.map(|at| at.start), "to": at.map(|at| at.end),
        }))?;
    }
    let said = error.render("formula", expression);
    let said = said.trim().trim_start_matches("error: ");
    Err(Failure::new(exit::USAGE, said).fix("list the functions: iotbiz eval").into())
}

/// Every function with its units, formula, source and example, for `--help`.
pub(crate) fn library() -> String {
    let mut text = "Functions:\n".to_owned();
    for function in functions() {
        let parameters: Vec<_> = function.parameters.iter().map(|p| p.name).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n  {}({})", function.name, parameters.join(", "));
        let _ = writeln!(text, "      {}", function.summary);
        for parameter in function.parameters {
            let _ = writeln!(text, "      {}: {}", parameter.name, parameter.unit);
        }
        let _ = writeln!(text, "      gives    {}", function.result);
        let _ = writeln!(text, "      formula  {}", function.formula);
        let _ = writeln!(text, "      source   {}", function.source);
        let _ = writeln!(text, "      example  {} = {}", function.example, function.example_result);
    }
    text.push_str("\nExample: iotbiz eval 'irr([-1600, 10000, -10000])'\n");
    text
}

fn list(format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let one = |function: &Function| {
            let parameters: Vec<_> = function.parameters.iter().map(|p| p.name).collect();
            let units: Vec<_> = function.parameters.iter().map(|p| p.unit).collect();
            json!({
                "name": function.name, "parameters": parameters, "units": units,
                "result": function.result,
                "summary": function.summary, "formula": function.formula,
                "source": function.source, "example": function.example,
                "example_result": function.example_result,
            })
        };
        return output::json(&functions().map(one).collect::<Vec<_>>());
    }
    let rows = functions().map(|function| {
        vec![
            function.name.to_owned(),
            function.summary.to_owned(),
            format!("{} = {}", function.example, function.example_result),
        ]
    });
    output::table(&["FUNCTION", "WHAT IT GIVES", "EXAMPLE"], rows.collect())?;
    output::talk("more of one: iotbiz eval --function NAME");
    Ok(())
}

fn describe(name: &str, format: Format) -> anyhow::Result<()> {
    let function = functions().find(|function| function.name == name).ok_or_else(|| {
        Failure::new(exit::NOT_FOUND, format!("there is no function {name:?}"))
            .fix("list them: iotbiz eval")
    })?;
    if format == Format::Json {
        return output::json(&function.json());
    }
    output::line(&format!("{}: {}", function.name, function.summary))?;
    for parameter in function.parameters {
        output::line(&format!("  {}  {}", parameter.name, parameter.unit))?;
    }
    output::line(&format!("gives    {}", function.result))?;
    output::line(&format!("formula  {}", function.formula))?;
    output::line(&format!("source   {}", function.source))?;
    output::line(&format!("example  {} = {}", function.example, function.example_result))
}
