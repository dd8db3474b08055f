//! What a mistake is told: place, reason and fix.
//!
//! *Invariant:* each message is shown as a person reads it.

use expect_test::expect;

use super::refused;

#[test]
#[expect(clippy::too_many_lines, reason = "texts and what is said of them")]
fn a_slip_gets_place_reason_and_fix() {
    refused(
        "temprature > 8 °C",
        expect![[r#"
        temprature > 8 °C
        ^^^^^^^^^^ not known here
        unknown name "temprature"
        help: did you mean "temperature"?
    "#]],
    );
    refused(
        "temperature > 8",
        expect![[r#"
            temperature > 8
                          ^ this has no unit
            °C and a plain number cannot be compared
            help: write 8 °C
        "#]],
    );
    refused(
        "temperature > 8 %",
        expect![[r#"
        temperature > 8 %
                      ^^^ this is in %
        °C and % cannot be compared
        help: °C is temperature, % is a number
    "#]],
    );
    refused(
        "temperature > 8 K",
        expect![[r#"
        temperature > 8 K
                      ^^^ this is in K
        °C and K cannot be compared
        help: °C has a zero point of its own; differences are in K
    "#]],
    );
    refused(
        "battery < 20",
        expect![[r#"
            battery < 20
                      ^^ this has no unit
            % and a plain number cannot be compared
            help: write 20 %
        "#]],
    );
    refused(
        "temperature * 2 > 8 °C",
        expect![[r#"
        temperature * 2 > 8 °C
        ^^^^^^^^^^^ this is °C, which has a zero point of its own
        expected a difference or a plain quantity, found °C, which has a zero point of its own
        help: subtract a reference first; the difference is in K
    "#]],
    );
    refused(
        "temperature + temperature > 8 °C",
        expect![[r#"
        temperature + temperature > 8 °C
                      ^^^^^^^^^^^ this is in °C
        °C and °C cannot be added
        help: differences of °C are in K
    "#]],
    );
    refused(
        "economics.margin > 4 USD/device/month",
        expect![[r#"
            economics.margin > 4 USD/device/month
                               ^^^^^^^^^^^^^^^^^^ this is in USD/device/month
            EUR/device/month and USD/device/month cannot be compared
            help: EUR is never converted to USD: use one currency
        "#]],
    );
    refused(
        "energy > 5 kwh",
        expect![[r#"
        energy > 5 kwh
                   ^^^ not a known unit
        unknown unit "kwh"
        help: did you mean "kWh"?
    "#]],
    );
    refused(
        "economics.margin > 4 €/device/month",
        expect![[r#"
        economics.margin > 4 €/device/month
                             ^ not a known unit
        unknown unit "€"
        help: did you mean "EUR"?
    "#]],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "texts and what is said of them")]
fn grammar_errors_get_place_reason_and_fix() {
    refused(
        "",
        expect![[r#"

        ^ nothing here
        the expression is empty
    "#]],
    );
    refused(
        "temperature = 8 °C",
        expect![[r#"
        temperature = 8 °C
                    ^ this character
        '=' is not part of the language
        help: compare with ==
    "#]],
    );
    refused(
        "temperature > 0,5 °C",
        expect![[r#"
        temperature > 0,5 °C
                       ^ expected an operator or the end
        expected an operator or the end, found ","
        help: write decimals with a point, and thousands without a separator
    "#]],
    );
    refused(
        "2 °C < temperature < 8 °C",
        expect![[r#"
        2 °C < temperature < 8 °C
                           ^ expected an operator or the end
        expected an operator or the end, found "<"
        help: join two comparisons with and
    "#]],
    );
    refused(
        "temperature >",
        expect![[r#"
        temperature >
                     ^ expected a number, a name or a parenthesis
        expected a number, a name or a parenthesis, found the end
    "#]],
    );
    refused(
        "(temperature > 8 °C",
        expect![[r#"
        (temperature > 8 °C
                           ^ expected ")"
        expected ")", found the end
    "#]],
    );
    refused(
        "Temperature > 8 °C",
        expect![[r#"
        Temperature > 8 °C
        ^^^^^^^^^^^ expected a name in snake_case
        expected a name in snake_case, found "Temperature"
        help: write temperature
    "#]],
    );
    refused(
        "temperature > 8 °C && lid_open",
        expect![[r#"
        temperature > 8 °C && lid_open
                           ^ this character
        '&' is not part of the language
        help: write and
    "#]],
    );
    refused(
        "state == \"open",
        expect![[r#"
        state == "open
                 ^ starts here
        the text is not closed
    "#]],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "texts and what is said of them")]
fn wrong_calls_get_place_reason_and_fix() {
    refused(
        "silnt(30 min)",
        expect![[r#"
        silnt(30 min)
        ^^^^^ not a function
        unknown function "silnt"
        help: did you mean "silent"?
    "#]],
    );
    refused(
        "silent(30)",
        expect![[r#"
        silent(30)
               ^^ this is something else
        expected a duration above 0, found something else
        help: write for example 10 min
    "#]],
    );
    refused(
        "silent(battery, 30 min)",
        expect![[r#"
        silent(battery, 30 min)
               ^^^^^^^ this is a number in %
        expected a linked device, found a number in %
        help: silent(30 min) is about the device itself
    "#]],
    );
    refused(
        "avg(temperature)",
        expect![[r#"
        avg(temperature)
        ^^^^^^^^^^^^^^^^ takes a reading and a duration
        avg takes a reading and a duration
        help: for example avg(temperature, 10 min) > 8 °C
    "#]],
    );
    refused(
        "avg(state, 10 min) > 3",
        expect![[r#"
        avg(state, 10 min) > 3
            ^^^^^ this is a text
        expected a number that can be summed up, found a text
    "#]],
    );
    refused(
        "inside(temperature, depot)",
        expect![[r#"
        inside(temperature, depot)
               ^^^^^^^^^^^ this is a number in °C
        expected a position, found a number in °C
    "#]],
    );
    refused(
        "state > \"open\"",
        expect![[r#"
        state > "open"
        ^^^^^^^^^^^^^^ this is >
        expected == or !=, found >
        help: texts have no order
    "#]],
    );
    refused(
        "38 to 31 EUR",
        expect![[r#"
        38 to 31 EUR
        ^^^^^^^^^^^^ cannot be
        impossible range: 38 is not below 31
        help: write 31 to 38 EUR
    "#]],
    );
    refused(
        "0 to 31 EUR",
        expect![[r#"
        0 to 31 EUR
        ^^^^^^^^^^^ cannot be
        impossible range: 5 % of a range cannot lie below 0 when it ends there
        help: write uniform(0 EUR, 31 EUR), or an end off zero
    "#]],
    );
    refused(
        "pert(4, 2, 12)",
        expect![[r#"
        pert(4, 2, 12)
        ^^^^^^^^^^^^^^ cannot be
        impossible range: 2 must lie between 4 and 12, and 4 below 12
    "#]],
    );
    refused(
        "1 / 0",
        expect![[r#"
        1 / 0
        ^^^^^ not finite
        the value is not a finite number
    "#]],
    );
}
